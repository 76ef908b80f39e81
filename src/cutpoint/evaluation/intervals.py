"""A metric with its 95 % interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from cutpoint.errors import DataError
from cutpoint.evaluation.metrics import Metric, check_metric, correct
from cutpoint.evaluation.resampling import bootstrap, unit_numbers
from cutpoint.types import Score, Task

Array = NDArray[Any]

_RESAMPLES = 2_000
_NORMAL = float(ndtri(0.975))
# Acceleration is a third moment: two hundred blocks of rows settle it as well as all rows would.
_JACKKNIFE_BLOCKS = 200


def score(
    task: Task, targets: Array, predictions: Array, *, groups: Array | None = None, seed: int = 0
) -> Score:
    """The task's metric with a 95 % interval over examples.

    Accuracy gets Wilson's interval (1927), other metrics the accelerated bootstrap (BCa, Efron 1987).

    Args:
        task: Names the metric.
        targets: As in `Dataset.targets`, N rows.
        predictions: (N, outputs); or (R, N, outputs) from R repeats of cross-validation, whose metrics are
            averaged. Repeats share their examples, so that the interval still rests on N of them.
        groups: (N,) rows of one group are one piece of evidence.
        seed: Of the bootstrap.

    Raises:
        DataError: A metric that is unknown, unfit for the task, or undefined on these targets.
    """
    metric = check_metric(task)
    if len(targets) == 0:
        raise DataError("There is no example to score.", "Give at least one labelled example.")
    repeats = as_repeats(predictions)
    value = float(np.mean([metric.function(targets, one, task) for one in repeats]))
    if metric.name == "accuracy":
        rows = np.mean([correct(targets, one, task) for one in repeats], axis=0)
        judgements = len(repeats) * (task.outputs if task.kind == "multilabel" else 1)
        low, high = _wilson(value, _effective_examples(rows, value, judgements, groups))
    else:
        low, high = _accelerated_bootstrap(metric, task, targets, repeats, value, groups, seed)
    return Score(metric=metric.name, value=value, low=min(low, value), high=max(high, value), n=len(targets))


def as_repeats(predictions: Array) -> Array:
    """(R, N, outputs) of predictions with or without repeats."""
    return predictions if predictions.ndim == 3 else predictions[None]


def _wilson(share: float, examples: float) -> tuple[float, float]:
    square = _NORMAL**2
    middle = (share + square / (2 * examples)) / (1 + square / examples)
    half = np.sqrt(share * (1 - share) / examples + square / (4 * examples**2))
    half = _NORMAL / (1 + square / examples) * half
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _effective_examples(rows: Array, value: float, judgements: int, groups: Array | None) -> float:
    """How many independent right-or-wrong examples carry the evidence of these rows.

    More than N where repeats or several labels average the luck of one row away, fewer where the rows of a
    group are right and wrong together (the design effect; Kish 1965). A row is the mean of `judgements`.
    """
    count = len(rows)
    units = unit_numbers(count, groups)
    if groups is None and judgements == 1:
        return count
    variance = float((np.bincount(units, weights=rows - value) ** 2).sum()) / count**2
    least = count if groups is None else int(units.max()) + 1
    if variance == 0:
        return least
    return float(np.clip(value * (1 - value) / variance, least, count * judgements))


def _accelerated_bootstrap(
    metric: Metric, task: Task, targets: Array, repeats: Array, value: float, groups: Array | None, seed: int
) -> tuple[float, float]:
    def statistic(weights: Array) -> Array:
        return np.asarray(np.mean([metric.weighted(targets, one, task, weights) for one in repeats], axis=0))

    count = len(targets)
    values = bootstrap(statistic, count, resamples=_RESAMPLES, groups=groups, seed=seed)
    values = values[np.isfinite(values)]
    if len(values) == 0 or float(np.ptp(values)) <= 1e-12:
        return _degenerate(metric, value, int(unit_numbers(count, groups).max()) + 1)
    # Ties with the observed value count half: a discrete metric would be pushed to one side otherwise.
    below = float(np.mean(values < value) + np.mean(values == value) / 2)
    bias = float(ndtri(np.clip(below, 1 / len(values), 1 - 1 / len(values))))
    acceleration = _acceleration(statistic(_jackknife_weights(count, groups, seed)))
    ends = []
    for normal in (-_NORMAL, _NORMAL):
        shifted = bias + normal
        ends.append(float(ndtr(bias + shifted / (1 - acceleration * shifted))))
    low, high = np.quantile(values, ends)
    return float(low), float(high)


def _degenerate(metric: Metric, value: float, units: int) -> tuple[float, float]:
    """Every resample of perfect predictions is perfect; what so many examples can show is Wilson's bound."""
    return _wilson(value, units) if metric.share else (value, value)


def _jackknife_weights(count: int, groups: Array | None, seed: int) -> Array:
    """Weights (blocks, count) that leave one block of units out each."""
    units = unit_numbers(count, groups)
    number = int(units.max()) + 1
    blocks = min(number, _JACKKNIFE_BLOCKS)
    block = np.random.default_rng(seed).permutation(number) % blocks
    return np.asarray(block[units] != np.arange(blocks)[:, None], dtype=np.float64)


def _acceleration(left_out: Array) -> float:
    left_out = left_out[np.isfinite(left_out)]
    if len(left_out) < 2:
        return 0.0
    influence = left_out.mean() - left_out
    spread = float((influence**2).sum())
    return float((influence**3).sum() / (6 * spread**1.5)) if spread > 1e-300 else 0.0
