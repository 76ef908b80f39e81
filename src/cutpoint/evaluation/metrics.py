"""The table of metrics. A new metric is one function of weighted rows and one entry.

Every metric is written over row weights (B, N): ones give the metric itself, counts of a bootstrap give B
resampled values at once. So a metric is defined once and its intervals come for free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.errors import DataError
from cutpoint.evaluation.entities import bio_tags, entity_counts, over_words
from cutpoint.types import IGNORED, Task, TaskKind

Array = NDArray[Any]

_SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)
_CLASSES: tuple[TaskKind, ...] = ("binary", "multiclass")
_LABELS: tuple[TaskKind, ...] = ("binary", "multiclass", "multilabel")
_VALUES: tuple[TaskKind, ...] = ("regression",)
_TAGS: tuple[TaskKind, ...] = ("tagging",)
_TOKENS: tuple[TaskKind, ...] = ("language",)


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    Attributes:
        name: How the user calls it.
        kinds: Kinds of task that it can judge.
        weighted: (targets, predictions, task, weights (B, N)) → (B,) float64; NaN where a resample does not
            define it. Predictions are (N, outputs); for tagging (N, places) tag numbers, -1 where there is none;
            for language (N, 3): summed negative log-likelihood in nats, tokens, and tokens predicted right.
        per_example: (targets, predictions, task) → (N,) whose mean is the metric, where there is such.
        greater_is_better: False for errors and losses.
        share: Lies between 0 and 1 and is best at 1, so that differences are told in points of a hundred.
        relative: Gains are shares of the value before: it runs over magnitudes, and half a point means nothing
            at 3 and at 3 000 alike.
    """

    name: str
    kinds: tuple[TaskKind, ...]
    weighted: Callable[[Array, Array, Task, Array], Array]
    per_example: Callable[[Array, Array, Task], Array] | None = None
    greater_is_better: bool = True
    share: bool = True
    relative: bool = False

    @property
    def sign(self) -> float:
        """1 where a greater value is better, -1 for errors and losses: times the value, more is better."""
        return 1.0 if self.greater_is_better else -1.0

    def gain(self, before: Any, after: Any) -> Any:
        """How much better `after` is, numbers or arrays: the difference, or its share of `before`."""
        change = after - before if self.greater_is_better else before - after
        return change / before if self.relative else change

    def function(self, targets: Array, predictions: Array, task: Task) -> float:
        """The metric of predictions as `weighted` takes them.

        Raises:
            DataError: The targets do not define it, such as one class alone for `roc_auc`.
        """
        value = float(self.weighted(targets, predictions, task, np.ones((1, len(targets))))[0])
        if np.isnan(value):
            raise DataError(
                f"{self.name} is not defined on these {len(targets)} examples: their targets do not vary, or "
                "there are none.",
                f"Judge on more examples, or by another metric: {', '.join(metrics_for(task.kind))}.",
            )
        return value


def metrics_for(kind: TaskKind) -> tuple[str, ...]:
    """Names of the metrics that can judge a kind of task."""
    return tuple(name for name, metric in METRICS.items() if kind in metric.kinds)


def check_metric(task: Task) -> Metric:
    """The task's metric.

    Raises:
        DataError: An unknown metric, or one that cannot judge this kind of task or these tags.
    """
    metric = known_metric(task.metric, metrics_for(task.kind))
    if task.kind not in metric.kinds:
        raise DataError(
            f"The metric {metric.name!r} cannot judge a {task.kind} task.",
            f"Choose one of: {', '.join(metrics_for(task.kind))}.",
        )
    if metric.name == "entity_f1":
        bio_tags(task.labels)
    return metric


def known_metric(name: str, choices: Iterable[str] | None = None) -> Metric:
    """The metric of that name.

    Args:
        name: As the user wrote it.
        choices: What the hint names; None: all there are.

    Raises:
        DataError: There is none.
    """
    if name in METRICS:
        return METRICS[name]
    near = get_close_matches(name, METRICS, n=1)
    raise DataError(
        f"There is no metric called {name!r}.",
        (f"Did you mean {near[0]}? " if near else "")
        + f"Choose one of: {', '.join(METRICS if choices is None else choices)}.",
    )


# ------------------------------------------------------------------------------------- means over examples


def correct(targets: Array, predictions: Array, task: Task) -> Array:
    """(N,) 1 where the likeliest class is right; for labels the share of labels right at threshold 0.5."""
    if task.kind == "multilabel":
        return np.asarray(((predictions >= 0.5) == (targets >= 0.5)).mean(axis=1, dtype=np.float64))
    return np.asarray(predictions.argmax(axis=1) == targets, dtype=np.float64)


def _log_losses(targets: Array, predictions: Array, task: Task) -> Array:
    clipped = np.clip(predictions.astype(np.float64), _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    if task.kind == "multilabel":
        chosen = np.where(targets >= 0.5, clipped, 1 - clipped)
        return np.asarray(-np.log(chosen).mean(axis=1))
    return np.asarray(-np.log(clipped[np.arange(len(targets)), targets]))


def _absolute_errors(targets: Array, predictions: Array, task: Task) -> Array:
    return np.abs(_errors(targets, predictions))


def _mean(per_example: Callable[[Array, Array, Task], Array]) -> Callable[[Array, Array, Task, Array], Array]:
    def weighted(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
        return np.asarray(weights @ per_example(targets, predictions, task) / weights.sum(axis=1))

    return weighted


# ------------------------------------------------------------------------------------- counts over classes


def _counts(targets: Array, predictions: Array, task: Task, weights: Array) -> tuple[Array, Array, Array]:
    """Hits, true members and predicted members of each class: (B, classes) each."""
    if task.kind == "multilabel":
        truth, chosen = targets >= 0.5, predictions >= 0.5
    else:
        classes = np.arange(task.outputs)
        truth = targets[:, None] == classes
        chosen = predictions.argmax(axis=1)[:, None] == classes
    columns = (truth & chosen, truth, chosen)
    hits, members, predicted = (weights @ column.astype(np.float64) for column in columns)
    return hits, members, predicted


def _balanced_accuracy(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    hits, members, _ = _counts(targets, predictions, task, weights)
    return _mean_where(hits, members)


def _f1_macro(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    hits, members, predicted = _counts(targets, predictions, task, weights)
    return _mean_where(2 * hits, members + predicted)


def _f1_micro(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    hits, members, predicted = (counts.sum(axis=1) for counts in _counts(targets, predictions, task, weights))
    return _divide(2 * hits, members + predicted)


# ------------------------------------------------------------------------------------------------ rankings


def _roc_auc(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    positive = targets == 1
    above, below = _by_score(predictions[:, 1], [weights * positive, weights * ~positive])
    beaten = below.cumsum(axis=1) - below / 2
    return _divide((above * beaten).sum(axis=1), above.sum(axis=1) * below.sum(axis=1))


def _average_precision(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    """Binary: of class 1. Otherwise the mean over classes or labels that have a positive example."""
    if task.kind == "binary":
        return _one_average_precision(targets == 1, predictions[:, 1], weights)
    truth = targets >= 0.5 if task.kind == "multilabel" else targets[:, None] == np.arange(task.outputs)
    each = [
        _one_average_precision(truth[:, column], predictions[:, column], weights)
        for column in range(task.outputs)
    ]
    values = np.stack(each, axis=1)
    return _mean_where(np.nan_to_num(values), (~np.isnan(values)).astype(np.float64))


def _one_average_precision(positive: Array, scores: Array, weights: Array) -> Array:
    hits, everything = _by_score(-scores, [weights * positive, weights])
    precision = np.nan_to_num(_divide(hits.cumsum(axis=1), everything.cumsum(axis=1)))
    return _divide((hits * precision).sum(axis=1), hits.sum(axis=1))


def _by_score(scores: Array, columns: list[Array]) -> list[Array]:
    """Columns (B, N) summed over rows of equal score, in rising order of the scores: (B, distinct)."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    return [np.add.reduceat(column[:, order], starts, axis=1) for column in columns]


# -------------------------------------------------------------------------------------------------- values


def _errors(targets: Array, predictions: Array) -> Array:
    return np.asarray(predictions[:, 0].astype(np.float64) - targets.astype(np.float64))


def _rmse(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    squares = _errors(targets, predictions) ** 2
    return np.asarray(np.sqrt(weights @ squares / weights.sum(axis=1)))


def _r2(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    centred = targets.astype(np.float64) - targets.mean(dtype=np.float64)
    total = weights.sum(axis=1)
    spread = weights @ centred**2 - (weights @ centred) ** 2 / total
    return np.asarray(1 - _divide(weights @ _errors(targets, predictions) ** 2, spread))


def _spearman(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    total = weights.sum(axis=1, keepdims=True)
    first, second = (_centred_ranks(values, weights) for values in (targets, predictions[:, 0]))
    products = [
        (weights * one * other).sum(axis=1) / total[:, 0]
        for one, other in ((first, second), (first, first), (second, second))
    ]
    return _correlation(*products)


def _centred_ranks(values: Array, weights: Array) -> Array:
    """Mid-ranks (B, N) of each row among the weighted rows, less their weighted mean."""
    (tied,) = _by_score(values, [weights])
    middle = tied.cumsum(axis=1) - tied / 2
    _, inverse = np.unique(values, return_inverse=True)
    ranks = middle[:, inverse]
    return np.asarray(
        ranks - (weights * ranks).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    )


def _pearson(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    first, second = (
        values.astype(np.float64) - values.mean(dtype=np.float64) for values in (targets, predictions[:, 0])
    )
    columns = (first, second, first * second, first**2, second**2)
    shares = weights @ np.stack(columns, axis=1) / weights.sum(axis=1, keepdims=True)
    one, other, together, one_square, other_square = shares.T
    return _correlation(together - one * other, one_square - one**2, other_square - other**2)


def _correlation(together: Array, first_spread: Array, second_spread: Array) -> Array:
    """Of targets and predictions. Constant predictions order nothing: 0. Constant targets leave it undefined."""
    correlation = _divide(together, np.sqrt(np.maximum(first_spread * second_spread, 0)))
    return np.where((first_spread > 0) & (second_spread <= 0), 0.0, correlation)


# ----------------------------------------------------------------------------------------- words and tokens


def _entity_f1(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    found, present, predicted = (weights @ entity_counts(targets, predictions, task.labels)).T
    return _divide(2 * found, present + predicted)


def _token_accuracy(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    """Over words, not over sentences: a long sentence counts for more."""
    is_word = targets != IGNORED
    right = ((over_words(predictions, targets) == targets) & is_word).sum(axis=1)
    return _divide(weights @ right, weights @ is_word.sum(axis=1))


def _perplexity(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    losses, tokens = (weights @ predictions[:, :2].astype(np.float64)).T
    return np.asarray(np.exp(_divide(losses, tokens)))


def _next_token_accuracy(targets: Array, predictions: Array, task: Task, weights: Array) -> Array:
    tokens, right = (weights @ predictions[:, 1:].astype(np.float64)).T
    return _divide(right, tokens)


# ------------------------------------------------------------------------------------------------- helpers


def _divide(above: Array, below: Array) -> Array:
    """Above / below, NaN where below is not positive."""
    quotient = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient


def _mean_where(above: Array, below: Array) -> Array:
    """Mean over columns of above / below where below is positive; NaN where no column is."""
    ratios = _divide(above, below)
    return _divide(np.nan_to_num(ratios).sum(axis=1), (~np.isnan(ratios)).sum(axis=1).astype(np.float64))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _LABELS, _mean(correct), per_example=correct),
        Metric("balanced_accuracy", _CLASSES, _balanced_accuracy),
        Metric("f1_macro", _LABELS, _f1_macro),
        Metric("f1_micro", _LABELS, _f1_micro),
        Metric("roc_auc", ("binary",), _roc_auc),
        Metric("average_precision", _LABELS, _average_precision),
        Metric("log_loss", _LABELS, _mean(_log_losses), _log_losses, greater_is_better=False, share=False),
        Metric("r2", _VALUES, _r2, share=False),
        Metric("mae", _VALUES, _mean(_absolute_errors), _absolute_errors, False, share=False),
        Metric("rmse", _VALUES, _rmse, greater_is_better=False, share=False),
        Metric("spearman", _VALUES, _spearman, share=False),
        Metric("pearson", _VALUES, _pearson, share=False),
        Metric("entity_f1", _TAGS, _entity_f1),
        Metric("token_accuracy", _TAGS, _token_accuracy),
        Metric("perplexity", _TOKENS, _perplexity, greater_is_better=False, share=False, relative=True),
        Metric("next_token_accuracy", _TOKENS, _next_token_accuracy),
    )
}
