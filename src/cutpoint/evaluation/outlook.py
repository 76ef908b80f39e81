"""What finishing a trial promises, judged by a short run of it.

A run of a quarter of the epochs ends with some error; the whole run ends with a share of that error. The share is
uncertain, and so is what a few validation examples say: both enter as resamples, and a trial is worth finishing where
the expected gain over the leader, counting only the resamples in which it wins, is at least the least gain that pays.
(Swersky et al. 2014 extrapolate learning curves for the same purpose; expected improvement is Mockus's, 1978.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.evaluation.intervals import as_repeats
from cutpoint.evaluation.metrics import METRICS, Metric, check_metric
from cutpoint.evaluation.resampling import bootstrap
from cutpoint.types import Score, Task

Array = NDArray[Any]

_RESAMPLES = 1_000


@dataclass(frozen=True)
class Finishing:
    """How much of a short run's error is left when the run is finished: log-normal.

    Attributes:
        shrink: Median share of the error that is left.
        spread: Standard deviation of its logarithm from one data set to another.
        within: The same among the trials of one data set: what finishing one trial cannot tell of another.
    """

    shrink: float
    spread: float
    within: float = 0.0

    @property
    def deviation(self) -> float:
        """Standard deviation of the logarithm for a trial that is to come."""
        return math.hypot(self.spread, self.within)

    def learned_from(self, finished: Sequence[Finished]) -> Finishing:
        """What is believed after some trials of this data set were finished (normal prior and likelihood)."""
        precision, weighted = self.spread**-2, math.log(self.shrink) * self.spread**-2
        for trial in finished:
            certainty = 1 / (self.within**2 + trial.variance)
            precision += certainty
            weighted += certainty * trial.log_share
        return replace(self, shrink=math.exp(weighted / precision), spread=precision**-0.5)


@dataclass(frozen=True)
class Finished:
    """A trial that had a short run and was finished.

    Attributes:
        short: Score of the short run.
        final: Score at the end.
    """

    short: Score
    final: Score

    @property
    def log_share(self) -> float:
        """Logarithm of the share of the error that was left."""
        return math.log(_error(self.final) / _error(self.short))

    @property
    def variance(self) -> float:
        """Of that logarithm, by the few examples that errors were counted on; right for accuracy, and the order of it
        for others."""
        return sum(
            max(1 - _error(score), 0.0) / (_error(score) * score.n) for score in (self.short, self.final)
        )


def _error(score: Score) -> float:
    """Distance from the best value, and not nought: one more example might have been wrong."""
    greater_is_better = METRICS[score.metric].greater_is_better
    error = 1 - score.value if greater_is_better else score.value
    return max(error, 0.5 / score.n)


@dataclass(frozen=True)
class Outlook:
    """What a trial promises.

    Attributes:
        expected: Final value of the metric, the median of the resamples.
        low: Lower end of its 95 % interval, sampling of examples included.
        high: Upper end.
        gain: Expected gain over the leader where it wins, nought where it does not (expected improvement).
        chance: Probability of a gain that pays.
    """

    expected: float
    low: float
    high: float
    gain: float
    chance: float


def outlook(
    task: Task,
    targets: Array,
    short: Array,
    leader: Array | None,
    *,
    finishing: Finishing,
    min_gain: float,
    groups: Array | None = None,
    seed: int = 0,
) -> Outlook:
    """Extrapolate a short run and weigh it against the leader on the same examples.

    Args:
        task: Names the metric.
        targets: As in `Dataset.targets`, N rows.
        short: (N, outputs) predictions of the short run.
        leader: (N, outputs) or (R, N, outputs) predictions of the leader for the same rows; None where nothing leads
            yet, so that any trial gains.
        finishing: What is left of the error at the end.
        min_gain: Least gain that pays.
        groups: (N,) rows of one group are resampled together.
        seed: Of the resamples.
    """
    metric = check_metric(task)
    now = _resampled(metric, task, targets, short, groups, seed)
    random = np.random.default_rng(seed)
    left = finishing.shrink * np.exp(finishing.deviation * random.standard_normal(len(now)))
    final = _finished(metric, now, left)
    low, expected, high = (float(value) for value in np.nanquantile(final, (0.025, 0.5, 0.975)))
    if leader is None:
        return Outlook(expected, low, high, np.inf, 1.0)
    gains = metric.gain(_resampled(metric, task, targets, leader, groups, seed), final)
    gains = gains[np.isfinite(gains)]
    return Outlook(
        expected, low, high, float(np.maximum(gains, 0.0).mean()), float(np.mean(gains >= min_gain))
    )


def _resampled(
    metric: Metric, task: Task, targets: Array, predictions: Array, groups: Array | None, seed: int
) -> Array:
    """The metric in each resample, the mean over repeats; equal seeds draw equal examples."""
    repeats = as_repeats(predictions)

    def statistic(weights: Array) -> Array:
        return np.asarray(np.mean([metric.weighted(targets, one, task, weights) for one in repeats], axis=0))

    return bootstrap(statistic, len(targets), resamples=_RESAMPLES, groups=groups, seed=seed)


def _finished(metric: Metric, value: Array, left: Array) -> Array:
    """The value once a share of the error is left; the error of what is best at 1 is its distance from 1."""
    return np.asarray(1 - (1 - value) * left if metric.greater_is_better else value * left)
