"""What labels buy, with transfer and without, and whether more of them would pay: from exact heads alone.

Heads are fitted on 10, 25, 50 and 100 % of the training rows (`labels_bench`); the test split is never seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.errors import DataError
from cutpoint.evaluation.learning_curve import Extrapolated, extrapolate
from cutpoint.evaluation.metrics import METRICS
from cutpoint.heads.chunks import Chosen, Features, look_at
from cutpoint.survey.labels_bench import CROSS_VALIDATED_BELOW, Bench, widened
from cutpoint.survey.labels_sentence import labels_sentence
from cutpoint.types import LabelsCurve, LabelsPoint, Score, Task

_MOST_WORK = 100_000_000
"""Rows × columns × outputs; of more rows, so many are drawn."""

Array = NDArray[Any]


def labels_curve(
    features: Features,
    without: Features | None,
    targets: Array,
    task: Task,
    *,
    groups: Array | None = None,
    seed: int = 0,
) -> LabelsCurve | None:
    """Measure the curve; takes seconds.

    Args:
        features: (N, width) pooled features of the pretrained backbone for training rows (of tags: for their words).
        without: (N, other) of the same rows without transfer: hand-made features, or those of random weights.
        targets: (N,) or (N, labels) what belongs to these rows.
        task: What is predicted; of tags, the tag of one word is.
        groups: (N,) rows of one group are held out together (of tags: sentences).
        seed: Draws shares and folds.

    Returns:
        None where the rows are too few for two shares, or the metric is not defined on them.
    """
    task = task.for_heads
    if task.kind == "language":
        return None
    count, width = len(targets), max(each.shape[1] for each in (features, without) if each is not None)
    chosen = _chosen_rows(count, width * max(task.outputs, 1), seed)
    targets = targets[chosen]
    held_out = None if groups is None else groups[chosen]
    bench = Bench.of(targets, task, held_out, seed)
    if bench is None or len(bench.shares) < 2:
        return None
    own = Chosen(features, chosen)
    try:
        look_at(own)  # held-out rows count too, and no head is fitted on them
        transfer = bench.measure(own)
        rival = [None] * len(transfer) if without is None else bench.measure(Chosen(without, chosen))
    except DataError:  # features are not finite, or the metric is not defined on these rows: one class alone
        return None
    points = tuple(
        LabelsPoint(
            share=share,
            rows=bench.rows_of(share),
            transfer=own.score,
            without=None if other is None else other.score,
        )
        for share, own, other in zip(bench.shares, transfer, rival, strict=True)
    )
    ahead = _ahead(points, [one.repeats for one in transfer], seed)
    multiple, is_bound = _multiple(points)
    last = points[-1].transfer
    at_twice, gained = _with_sampling(ahead, last), _gained(ahead, last)
    told = labels_sentence(points, multiple, is_bound, at_twice, gained)
    return LabelsCurve(
        points=points,
        multiple=multiple,
        multiple_is_bound=is_bound,
        at_twice=at_twice,
        sentence=_told_of(len(chosen), count) + told,
    )


def multiple_of_scratch(curve: LabelsCurve, scratch: Score) -> float | None:
    """How many times fewer labels transfer needs to reach what the same network from scratch reaches with all.

    Args:
        curve: Of the training rows.
        scratch: Its validation score, trained on all of them.

    Returns:
        None where transfer does not reach it. One over the curve's least share is a lower bound: transfer is there
        with the fewest labels that were tried.
    """
    rows = [point.rows for point in curve.points]
    needed = _reached(rows, [_signed(point.transfer) for point in curve.points], _signed(scratch))
    return None if needed is None else rows[-1] / needed


def _chosen_rows(count: int, work: int, seed: int) -> Array:
    """All rows, or as many as can be worked on."""
    most = max(_MOST_WORK // work, CROSS_VALIDATED_BELOW)
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def _told_of(chosen: int, count: int) -> str:
    return "" if chosen == count else f"Measured on {chosen:,} of the {count:,} rows. "


def _ahead(points: Sequence[LabelsPoint], repeats: Sequence[Sequence[float]], seed: int) -> Extrapolated:
    """The expected score with twice the labels, on the same judged rows; more is better."""
    places, scores, errors = [], [], []
    spread = _spread_of_draws(points, repeats)
    for point, each in zip(points, repeats, strict=True):
        places.append(point.rows)
        scores.append(_signed(point.transfer))
        errors.append(spread / math.sqrt(point.rows * max(len(each), 1)))
    metric = METRICS[points[0].transfer.metric]
    most = 0.0 if not metric.greater_is_better else 1.0 if metric.share else None
    return extrapolate(
        places,
        scores,
        2 * places[-1],
        deviations=errors if spread else None,
        most=most,
        seed=seed,
    )


def _spread_of_draws(points: Sequence[LabelsPoint], repeats: Sequence[Sequence[float]]) -> float:
    """Deviation of a draw of one row: what is drawn more of varies less, by the root of the rows; 0 if unknown."""
    squares = [
        float(np.var(each, ddof=1)) * point.rows
        for point, each in zip(points, repeats, strict=True)
        if len(each) > 1
    ]
    return math.sqrt(float(np.mean(squares))) if squares else 0.0


def _with_sampling(ahead: Extrapolated, last: Score) -> Score:
    """The extrapolated score with an interval for which rows judge, too."""
    ends = (ahead.low, ahead.high) if _sign(last) > 0 else (-ahead.high, -ahead.low)
    value = _sign(last) * ahead.value
    low = math.hypot(value - ends[0], last.value - last.low)
    high = math.hypot(ends[1] - value, last.high - last.value)
    return widened(Score(metric=last.metric, value=value, low=value, high=value, n=last.n), low, high)


def _gained(ahead: Extrapolated, last: Score) -> Extrapolated:
    """How much better that is than the last score: both are of the same judged rows, whose luck cancels."""
    return Extrapolated(*(METRICS[last.metric].gain(last.value, _sign(last) * end) for end in ahead))


def _multiple(points: Sequence[LabelsPoint]) -> tuple[float | None, bool]:
    """How many times the labels are needed without transfer, and whether that is a lower bound."""
    rows = [point.rows for point in points]
    rivals = [_signed(point.without) for point in points if point.without is not None]
    if not rivals:
        return None, False
    transfer = [_signed(point.transfer) for point in points]
    if rivals[0] >= transfer[0]:
        needed = _reached(rows, transfer, rivals[0])
        return (None if needed is None else rows[0] / needed), False
    needed = _reached(rows, rivals, transfer[0])
    return (rows[-1] / rows[0], True) if needed is None else (needed / rows[0], False)


def _reached(rows: Sequence[int], scores: Sequence[float], wanted: float) -> float | None:
    """Rows at which a curve first reaches a score, on a logarithmic scale between points; None where it does not."""
    if scores[0] >= wanted:
        return float(rows[0])
    for (before, low), (after, high) in pairwise(zip(rows, scores, strict=True)):
        if high >= wanted:
            share = (wanted - low) / (high - low)
            return math.exp(math.log(before) + share * math.log(after / before))
    return None


def _sign(found: Score) -> float:
    return METRICS[found.metric].sign


def _signed(found: Score) -> float:
    """More is better."""
    return _sign(found) * found.value
