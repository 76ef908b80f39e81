"""The labels curve in words."""

from __future__ import annotations

from collections.abc import Sequence

from cutpoint.evaluation.learning_curve import Extrapolated
from cutpoint.reports import format
from cutpoint.types import LabelsPoint, Score

_PAYS_IN_SHARES = 0.01
"""Gain from which twice the labels are said to pay: a point."""
_PAYS_AS_SHARE = 0.02
"""The same of metrics that are no shares, relative to the score."""


def labels_sentence(
    points: Sequence[LabelsPoint], multiple: float | None, is_bound: bool, ahead: Extrapolated
) -> str:
    """What transfer saves, and whether more labels would pay.

    Args:
        points: The curve.
        multiple: Labels that are needed without transfer, as a multiple.
        is_bound: Whether that is a lower bound.
        ahead: The expected score with twice the labels; more is better.
    """
    return f"{_saved(points, multiple, is_bound)} {_more(points[-1].transfer, ahead)}"


def _saved(points: Sequence[LabelsPoint], multiple: float | None, is_bound: bool) -> str:
    first = points[0]
    reached = f"{format.metric_name(first.transfer.metric)} {format.score(first.transfer)}"
    share = f"With {100 * first.share:.0f} % of the labels ({first.rows:,})"
    if first.without is None:
        last = points[-1]
        return (
            f"{share} a linear head reaches {reached}; with all {last.rows:,}, {format.score(last.transfer)}."
        )
    start = f"{share} transfer reaches {reached}"
    rival = format.score(first.without)
    if multiple is None:
        return (
            f"{start}, and the same without transfer {rival}, which transfer does not reach with all labels."
        )
    if multiple <= 1:
        return f"{start}, and the same without transfer {rival}: transfer saves no labels here."
    if is_bound:
        return f"{start}; without it, even {multiple:.3g} times as many reach only {format.score(points[-1].without)}."
    return f"{start}; without it, about {multiple:.2g} times as many are needed."


def _more(last: Score, ahead: Extrapolated) -> str:
    sign = format.direction(last.metric)
    least = _PAYS_IN_SHARES if format.is_share(last.metric) else _PAYS_AS_SHARE * abs(last.value)
    now = sign * last.value
    if ahead.low - now >= least:
        judged = "more labels would pay"
    elif ahead.high - now < least:
        judged = "more labels would hardly pay"
    else:
        judged = "whether more labels would pay is open"
    low, high = sorted((sign * ahead.low, sign * ahead.high))
    expected, between = (
        format.value(sign * ahead.value, last.metric),
        f"{format.value(low, last.metric)} to {format.value(high, last.metric)}",
    )
    return f"Twice the labels are expected to bring {expected} ({between}) in place of {format.score(last)}: {judged}."
