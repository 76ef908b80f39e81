"""How well features suit a task, read off the features without training a head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.types import Task

Array = NDArray[Any]

_FIXED_POINT_STEPS = 100
_FIXED_POINT_TOLERANCE = 1e-6
_FLOOR = 1e-12


def logme(features: Array, targets: Array, task: Task) -> float:
    """Log of maximum evidence per row, the mean over targets (You et al. 2021, arXiv:2102.11005).

    Each target (a class against the rest, a label, or the values) is explained by Bayesian linear regression
    on the features; the score is the evidence at the best prior and noise, by MacKay's fixed point. Higher is
    better. It does not change when the features are rotated or scaled as a whole.

    Args:
        features: (N, D) float.
        targets: As in `Dataset.targets`, N rows.
        task: What is predicted.
    """
    left, singular, _ = np.linalg.svd(features.astype(np.float64), full_matrices=False)
    columns = _target_columns(targets, task)
    # The part of each target in the span of the features, turned onto their principal axes, and the rest.
    inside = (left.T @ columns) ** 2
    outside = np.maximum((columns**2).sum(axis=0) - inside.sum(axis=0), 0.0)
    regressions = [
        _Regression(singular**2, inside[:, number], float(outside[number]), len(features))
        for number in range(columns.shape[1])
    ]
    return float(np.mean([regression.evidence() for regression in regressions]))


def h_score(features: Array, targets: Array) -> float:
    """H-score of class labels: trace(cov(f)⁻¹ cov(E[f | y])) (Bao et al. 2019), with shrinkage.

    The covariance is shrunk toward a multiple of the identity by Ledoit and Wolf's (2004) optimal amount, as
    Ibrahim et al. (2021, arXiv:2110.06893) propose: without it, more features than rows give the same score
    to everything. Higher is better; 0 where the class means agree, at most the number of classes less one
    without shrinkage.

    Args:
        features: (N, D) float.
        targets: (N,) class numbers.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, classes, counts = np.unique(targets, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), centred.shape[1]))
    np.add.at(means, classes, centred)
    means /= counts[:, None]
    rows, width = centred.shape
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    energies = singular**2 / rows
    level = float(energies.sum()) / width
    if level == 0:
        return 0.0
    shrinkage = _ledoit_wolf(centred, energies, level)
    # Class means lie in the span of the rows, so that the shrunk covariance need only be inverted there.
    turned = means @ axes.T
    shares = (counts / rows) @ turned**2
    variances = (1 - shrinkage) * energies + shrinkage * level
    usable = variances > 1e-12 * variances.max()
    return float((1 - shrinkage) * (shares[usable] / variances[usable]).sum())


def _target_columns(targets: Array, task: Task) -> Array:
    if task.is_classification:
        return np.asarray(targets[:, None] == np.arange(task.outputs), dtype=np.float64)
    return np.asarray(targets.reshape(len(targets), -1), dtype=np.float64)


@dataclass(frozen=True)
class _Regression:
    """One target, seen from the principal axes of the features.

    Attributes:
        energies: Squared singular values of the features.
        inside: Squared coordinates of the target on the left singular vectors.
        outside: Squared length of the target outside the span of the features.
        rows: N.
    """

    energies: Array
    inside: Array
    outside: float
    rows: int

    def evidence(self) -> float:
        """Log evidence per row at the best precisions of weights and noise (MacKay 1992)."""
        weights, noise = 1.0, 1.0
        for _ in range(_FIXED_POINT_STEPS):
            size, residual, effective = self._posterior(weights, noise)
            previous = weights / noise
            # The floors hold where the features say nothing, or everything.
            weights = max(effective / max(size, _FLOOR), _FLOOR)
            noise = max(self.rows - effective, _FLOOR) / max(residual, _FLOOR)
            if abs(weights / noise - previous) <= _FIXED_POINT_TOLERANCE * previous:
                break
        return self._log_density(weights, noise) / self.rows

    def _posterior(self, weights: float, noise: float) -> tuple[float, float, float]:
        """Squared length of the mean weights, squared residual, and effective number of parameters."""
        precision = weights + noise * self.energies
        size = (noise**2 * self.energies * self.inside / precision**2).sum()
        residual = (self.inside * (weights / precision) ** 2).sum() + self.outside
        effective = (noise * self.energies / precision).sum()
        return float(size), float(residual), float(effective)

    def _log_density(self, weights: float, noise: float) -> float:
        """Log density of the target under `y ~ N(0, F Fᵀ / weights + I / noise)`."""
        size, residual, _ = self._posterior(weights, noise)
        # log det(weights · I + noise · FᵀF) less width · log(weights): axes without energy cancel.
        determinant = float(np.log1p(noise * self.energies / weights).sum())
        spread = self.rows * (np.log(noise) - np.log(2 * np.pi)) - determinant
        return float(spread - noise * residual - weights * size) / 2


def _ledoit_wolf(centred: Array, energies: Array, level: float) -> float:
    """How far to shrink the covariance: between 0 and 1 (Ledoit & Wolf 2004, lemma 3.3)."""
    rows, width = centred.shape
    # Squared distance of the covariance from the target, with all axes without energy counted.
    distance = float((energies**2).sum()) - width * level**2
    fourth = float(((centred**2).sum(axis=1) ** 2).sum()) / rows
    error = (fourth - float((energies**2).sum())) / rows
    return 1.0 if distance <= 0 else float(np.clip(error / distance, 0.0, 1.0))
