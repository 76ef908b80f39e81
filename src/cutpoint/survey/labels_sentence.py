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
    points: Sequence[LabelsPoint],
    multiple: float | None,
    is_bound: bool,
    at_twice: Score,
    gained: Extrapolated,
) -> str:
    """What transfer saves, and whether more labels would pay.

    Args:
        points: The curve.
        multiple: Labels that are needed without transfer, as a multiple.
        is_bound: Whether that is a lower bound.
        at_twice: The expected score with twice the labels, as `LabelsCurve` holds it.
        gained: How much better that is on the rows that judged the last point; which rows judge is no part of its
            interval.
    """
    return f"{_saved(points, multiple, is_bound)} {_more(points[-1].transfer, at_twice, gained)}"


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


def _more(last: Score, at_twice: Score, gained: Extrapolated) -> str:
    least = _PAYS_IN_SHARES if format.is_share(last.metric) else _PAYS_AS_SHARE * abs(last.value)
    if gained.low >= least:
        judged = "more labels would pay"
    elif gained.high < least:
        judged = "more labels would hardly pay"
    else:
        judged = "whether more labels would pay is open"
    gain, unit = format.gain_words(gained.value, last.metric), format.gain_unit(last.metric)
    ends = " to ".join(format.gain(end, last.metric) for end in (gained.low, gained.high))
    return (
        f"Twice the labels are expected to bring {format.score(at_twice)} ({format.interval(at_twice)}) in place of "
        f"{format.score(last)}, on the same examples a gain of {gain} ({f'{ends} {unit}'.strip()}): {judged}."
    )
