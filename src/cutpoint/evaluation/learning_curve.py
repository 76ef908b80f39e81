"""Where a learning curve is going: an inverse power law, with the uncertainty of all of its parameters.

Scores rise with examples (or with training) as `asymptote - gap · x^-exponent` (Hestness et al. 2017; Rosenfeld et al.
2020). Of a handful of points the exponent is hardly known, so that a single best fit promises too much. Here every
exponent of a grid, and a flat curve beside them, is fitted by weighted least squares; each counts by how well it
explains the points (Bayesian linear regression with conjugate priors; Gelman et al. 2013, ch. 14), and the interval is
that of draws from all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_EXPONENTS = np.geomspace(0.1, 2.0, 25)
"""Measured ones lie between .07 and .5 for losses in the number of examples; training steps are steeper."""
_FLAT = 0.1
"""Prior probability that there is nothing left to gain."""
_WIDEST_GAIN = 1.0
"""Prior deviation of what is to be gained beyond the last point, in ranges of the points seen."""
_DRAWS = 16_000
# Points whose errors were measured are believed as far as four further ones would settle the scale of the errors;
# where nothing is known of it, a tenth of the range is the guess, and two points' worth.
_KNOWN_TRUST, _UNKNOWN_TRUST = 4.0, 2.0
_UNKNOWN_SHARE = 0.1
_LEAST_SPAN = 0.01
"""Range, as a share of the greatest figure, below which points are taken for level: their scatter may be chance."""
_LEAST_ERROR = 1e-9


class Extrapolated(NamedTuple):
    """An expected score with its interval."""

    value: float
    low: float
    high: float


def extrapolate(
    x: ArrayLike,
    y: ArrayLike,
    at: float,
    *,
    deviations: ArrayLike | None = None,
    level: float = 0.95,
    most: float | None = None,
    seed: int = 0,
) -> Extrapolated:
    """Extrapolate scores of which more is better; of errors, give their negatives.

    Args:
        x: (N,) positive: examples, epochs or seconds. Repeats of a point stand as points of their own.
        y: (N,) score at each.
        at: Where the expected score is wanted, at or beyond the largest x.
        deviations: (N,) standard error of each score, where it is known up to a common factor near 1; otherwise the
            scatter around the curves tells it, and few points tell little.
        level: Of the interval.
        most: What no score exceeds, such as 1 for accuracy.
        seed: Of the draws.

    Returns:
        The median and the interval of the expected score; noise of a single measurement is not part of it.

    Raises:
        ValueError: Fewer than two different points, x that is not positive, or figures that are not finite.
    """
    points, scores = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    errors = np.ones_like(scores) if deviations is None else np.asarray(deviations, dtype=np.float64)
    if len(np.unique(points)) < 2 or points.min() <= 0 or not np.isfinite([*points, *scores, *errors]).all():
        raise ValueError("A curve needs two points at different positive x, and finite figures.")
    greatest = max(float(np.abs(scores).max()), 1e-12)
    span = max(float(np.ptp(scores)), _LEAST_SPAN * greatest)
    trust, scale = (_UNKNOWN_TRUST, _UNKNOWN_SHARE * span) if deviations is None else (_KNOWN_TRUST, 1.0)
    errors = np.maximum(errors, _LEAST_ERROR * greatest)
    prior = _Prior(trust, scale, _WIDEST_GAIN * max(span, 2 * scale * float(errors.mean())))
    largest = float(points.max())
    shapes = [_fitted(np.zeros_like(points), 0.0, scores, errors, prior, is_flat=True)]
    for exponent in _EXPONENTS:
        gained, wanted = (1 - (place / largest) ** -exponent for place in (points, at))
        shapes.append(_fitted(gained, float(wanted), scores, errors, prior, is_flat=False))
    draws = _draws(shapes, np.random.default_rng(seed))
    if most is not None:
        possible = draws[draws <= most]
        draws = possible if len(possible) else np.array([most])
    low, value, high = np.quantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return Extrapolated(float(value), float(low), float(high))


class _Prior(NamedTuple):
    """What is believed before the points are seen.

    Attributes:
        trust: Points that the guess of the errors' scale is worth.
        scale: That guess.
        reach: Deviation of the gain that is left beyond the last point.
    """

    trust: float
    scale: float
    reach: float


class _Shape(NamedTuple):
    """A curve of one exponent, fitted: a normal distribution of its parameters, given the scale of the errors.

    The parameters are the score at the largest x, and the gain that is left from there (absent in a flat curve), so
    that both mean the same for every exponent.

    Attributes:
        log_weight: Logarithm of how well it explains the points, with its prior.
        mean: Of the parameters.
        spread: Their covariance, in units of the squared scale.
        freedom: Degrees of freedom of the squared scale.
        squares: Its sum of squares.
        towards: The score at the wanted point is the product of this with the parameters.
    """

    log_weight: float
    mean: Array
    spread: Array
    freedom: float
    squares: float
    towards: Array


def _fitted(
    gained: Array, wanted: float, scores: Array, errors: Array, prior: _Prior, *, is_flat: bool
) -> _Shape:
    """Weighted least squares of one exponent, as a distribution.

    Args:
        gained: (N,) shares of the gain that is left, from the largest x on: negative before it.
        wanted: The same at the wanted point.
        scores: (N,).
        errors: (N,) standard errors up to the scale.
        prior: Of scale and gain.
        is_flat: Whether there is no gain.
    """
    columns = [np.ones_like(gained)] if is_flat else [np.ones_like(gained), gained]
    towards = np.array([1.0, wanted][: len(columns)])
    precision = np.diag([0.0, (prior.scale / prior.reach) ** 2][: len(columns)])
    design, observed = np.stack(columns, axis=1) / errors[:, None], scores / errors
    spread: Array = np.linalg.inv(design.T @ design + precision).astype(np.float64)
    mean = spread @ (design.T @ observed)
    residual = float(((observed - design @ mean) ** 2).sum() + mean @ precision @ mean)
    freedom = prior.trust + len(scores) - 1  # the level has no prior, and takes one point
    squares = prior.trust * prior.scale**2 + residual
    weight = float(0.5 * np.linalg.slogdet(spread)[1] - 0.5 * freedom * np.log(squares))
    if is_flat:
        return _Shape(weight + np.log(_FLAT), mean, spread, freedom, squares, towards)
    # Half of the prior on the gain lies below zero, where no draw is kept.
    weight += np.log(2 * (1 - _FLAT) / len(_EXPONENTS)) + np.log(prior.scale / prior.reach)
    return _Shape(weight, mean, spread, freedom, squares, towards)


def _draws(shapes: Sequence[_Shape], random: np.random.Generator) -> Array:
    """Expected scores at the wanted point; curves that fall are not drawn from."""
    logs = np.array([shape.log_weight for shape in shapes])
    weights = np.exp(logs - logs.max())
    counts = random.multinomial(_DRAWS, weights / weights.sum())
    found = []
    for shape, count in zip(shapes, counts, strict=True):
        scale = np.sqrt(shape.squares / random.chisquare(shape.freedom, count))
        normal = random.standard_normal((count, len(shape.mean))) @ np.linalg.cholesky(shape.spread).T
        parameters = shape.mean + scale[:, None] * normal
        kept = parameters[:, 1] >= 0 if len(shape.mean) > 1 else np.ones(count, dtype=bool)
        found.append(parameters[kept] @ shape.towards)
    return np.concatenate(found)
