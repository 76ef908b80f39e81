"""What an adaptation cost elsewhere: the same reference examples, judged before and after."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.errors import DataError
from cutpoint.evaluation.comparison import PairedGain, amount, interval, paired_gain
from cutpoint.evaluation.intervals import score
from cutpoint.evaluation.metrics import Metric, check_metric
from cutpoint.types import Retention, Score, Task

Array = NDArray[Any]


def retention(
    task: Task,
    targets: Array,
    before: Array,
    after: Array,
    *,
    reference: str,
    groups: Array | None = None,
    seed: int = 0,
) -> Retention:
    """How the metric on a reference set changed, with a paired bootstrap over its examples.

    Args:
        task: Of the reference set; names the metric.
        targets: As in `Dataset.targets`, N rows.
        before: What the metric reads of the backbone as it came (`Metric.weighted`), N rows.
        after: The same rows after the adaptation.
        reference: How the sentence calls the reference set.
        groups: (N,) rows of one group are resampled together.
        seed: Of the bootstrap.

    Raises:
        DataError: Rows that differ in number; a metric that is unfit or undefined on these targets.
    """
    if not len(targets) == len(before) == len(after):
        raise DataError(
            f"The reference {reference} has {len(targets)} examples, of which {len(before)} were judged before "
            f"and {len(after)} after.",
            "Judge the same examples both times.",
        )
    metric = check_metric(task)
    first, second = (score(task, targets, side, groups=groups, seed=seed) for side in (before, after))
    paired = paired_gain(task, targets, before, after, groups=groups, seed=seed)
    return Retention(
        metric=metric.name,
        reference=reference,
        before=first,
        after=second,
        change=paired.gain,
        low=paired.low,
        high=paired.high,
        sentence=_sentence(metric, reference, first, second, paired),
    )


def pair_similarity(first: Array, second: Array) -> Array:
    """Cosine of each pair of embeddings, (N, D) and (N, D) → (N,) float64; 0 where one of them is all zeros.

    Its rank correlation with human judgements tells what a sentence encoder knows (the STS benchmark, Cer et al.
    2017): a regression task with the metric "spearman" and these values as a column of predictions.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(axis=1) / np.where(lengths > 0, lengths, 1.0))


def _sentence(metric: Metric, reference: str, before: Score, after: Score, paired: PairedGain) -> str:
    name = metric.name.replace("_", " ")
    start = f"{name} on {reference}: {_value(metric, before)} before, {_value(metric, after)} after"
    size, shown = amount(metric, abs(paired.gain)), interval(metric, paired)
    if size == amount(metric, 0.0):
        return f"{start}: unchanged {shown}."
    change = f"{size} {'better' if paired.gain > 0 else 'worse'} {shown}"
    is_clear = paired.low > 0 or paired.high < 0
    return f"{start}: {change}." if is_clear else f"{start}: {change}, which may be chance."


def _value(metric: Metric, found: Score) -> str:
    return f"{100 * found.value:.1f} %" if metric.share else f"{found.value:.3g}"
