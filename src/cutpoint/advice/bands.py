"""Bands of the measured axes: what the field's words mean in numbers."""

from __future__ import annotations

from typing import Literal

from cutpoint.types import Axes

DistanceBand = Literal["close", "related", "distant", "very distant"]

CLOSE_BELOW, RELATED_BELOW, DISTANT_BELOW = 0.3, 0.5, 0.8
"""Cut-offs of `Axes.distance`, our choice, since the field's own words carry no numbers.

Measured by the probe on 300 rows or more: MobileNetV2 of ImageNet (pictures of 128 pixels) is .40–.48 from photos of
clothes, .54–.55 from defects on circuit boards, .53–.54 from spectrograms of digits, and .05–.10 from blood cells,
whose three kinds its frozen features tell apart; a network of digits is .39 from those spectrograms, .64 from the
clothes, .62 from the cells and .86 from the boards. MiniLM is .15–.26 from intents, .68 from medical abstracts, .91
from the roles of sentences in papers. Another draw of random weights moves them by up to .04."""

UNLIKE_FROM = 0.5
"""Standard deviations of the source, from which BatchNorm's statistics call another domain. Measured on MobileNetV2 of
ImageNet: photos of clothes .22–.32, circuit boards .54–.58, blood cells and spectrograms .66–.69."""

SMALL_BELOW = 5000
"""Rows: the only figure that the field's rules of size × similarity give for "small"."""

TINY_BELOW = 20
"""Examples a class: below the field's "20–50 a class give a usable signal"."""

STRONG_FROM = 100
"""Examples a class from which the field calls results strong."""

_BANDS = (
    (TINY_BELOW, "below the field's bands: 20 to 50 a class give a usable signal"),
    (50, "in the band of a usable signal (20 to 50 a class)"),
    (STRONG_FROM, "between a usable signal (20 to 50 a class) and strong results (100 to 1 000)"),
    (1000, "in the band of strong results (100 to 1 000 a class)"),
)


def distance_band(axes: Axes) -> DistanceBand | None:
    """The word for the distance; None where it was not measured.

    A probe sees difficulty and domain as one. Where it leaves the data "related" and the statistics of the source say
    that the inputs are unlike it, they count as distant: what the features lack is then the domain.
    """
    distance = axes.distance
    if distance is None:
        return None
    if distance < CLOSE_BELOW:
        return "close"
    if distance < RELATED_BELOW and not looks_unlike(axes):
        return "related"
    return "distant" if distance < DISTANT_BELOW else "very distant"


def looks_unlike(axes: Axes) -> bool | None:
    """Whether the inputs look unlike those of the source; None where its statistics are not at hand."""
    shift = axes.to_source.get("batchnorm-frechet")
    return None if shift is None else shift >= UNLIKE_FROM


def data_band(axes: Axes) -> str:
    """The band of data that the user is in, in a sentence."""
    if axes.per_class is None:
        return f"{axes.rows:,} examples; the field counts its bands by class, and here are none."
    where = next((words for limit, words in _BANDS if axes.per_class < limit), "above the field's bands")
    sentence = f"{axes.per_class:,.0f} examples a class (median) are {where}"
    if axes.smallest_class is not None and axes.smallest_class < TINY_BELOW <= axes.per_class:
        sentence += f"; the smallest class has {axes.smallest_class}, which is below them"
    return f"{sentence}."
