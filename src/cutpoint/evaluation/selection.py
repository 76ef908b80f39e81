"""How much the best of several validation scores flatters, because it is the best of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.evaluation.intervals import as_repeats
from cutpoint.evaluation.metrics import check_metric
from cutpoint.evaluation.resampling import bootstrap
from cutpoint.types import Task

Array = NDArray[Any]

_RESAMPLES = 1_000


def optimism(
    task: Task,
    targets: Array,
    predictions: Mapping[str, Array],
    *,
    groups: Array | None = None,
    seed: int = 0,
) -> float:
    """Expected excess of the chosen trial's validation score over its true one, in units of the metric; at least 0.

    In each bootstrap resample the best trial is chosen on the rows that were drawn and scored on those that were not
    (Tsamardinos, Greasidou & Borboudakis 2018, arXiv:1708.07180): their mean is what choosing among these trials really
    yields. The shortfall of that mean from the best score is the excess.

    Args:
        task: Names the metric.
        targets: As in `Dataset.targets`, N rows.
        predictions: Trial → (N, outputs) or (R, N, outputs) out-of-sample predictions of the same rows.
        groups: (N,) rows of one group are drawn together.
        seed: Of the resamples.
    """
    metric = check_metric(task)
    trials = [as_repeats(found) for found in predictions.values()]

    def scores(weights: Array) -> Array:
        """(trials, B), greater is better."""
        return metric.sign * np.stack(
            [
                np.mean([metric.weighted(targets, one, task, weights) for one in repeats], axis=0)
                for repeats in trials
            ]
        )

    def of_the_chosen(weights: Array) -> Array:
        left_out = np.asarray(weights == 0, dtype=np.float64)
        drawn = np.nan_to_num(scores(weights), nan=-np.inf)
        return np.asarray(np.take_along_axis(scores(left_out), drawn.argmax(axis=0)[None], axis=0)[0])

    best = float(scores(np.ones((1, len(targets)))).max())
    chosen = bootstrap(of_the_chosen, len(targets), resamples=_RESAMPLES, groups=groups, seed=seed)
    return max(best - float(np.nanmean(chosen)), 0.0) if np.isfinite(chosen).any() else 0.0
