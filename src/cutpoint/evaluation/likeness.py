"""Do pictures look like those that a model was trained on? A wrong scale or a lost colour shows in three figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cutpoint.types import Finding, ImageRange, SeenImages

FAR = 1.25
"""Deviations that the mean of many pictures may lie off: single classes of photos lie up to .6 off."""
FAR_ALONE = 2.5
"""What a single picture may lie off beyond that; of n pictures, over the root of n."""
_LEAST_DEVIATION = 4.0
"""Of 255: training pictures that are all alike still allow for another camera."""
_GREY = 1.0
_GREY_CHANCE = 1e-3


class Look(NamedTuple):
    """Three figures of one prepared picture, in 0…255; see `SeenImages`."""

    brightness: float
    contrast: float
    colour: float


def look(picture: NDArray[np.uint8]) -> Look:
    """Figures of a picture (channels, height, width)."""
    spread = picture.max(axis=0).astype(np.float32) - picture.min(axis=0)
    return Look(float(picture.mean()), float(picture.std(dtype=np.float64)), float(spread.mean()))


def seen_images(looks: Sequence[Look]) -> SeenImages:
    """What training pictures look like.

    Args:
        looks: Of at least one picture.
    """
    table = np.array(looks, dtype=np.float64)
    ranges = [ImageRange(mean=float(column.mean()), deviation=float(column.std())) for column in table.T]
    grey = float(np.mean(table[:, 2] < _GREY))
    return SeenImages(
        brightness=ranges[0], contrast=ranges[1], colour=ranges[2], grey=grey, pictures=len(looks)
    )


def unlike_training(looks: Sequence[Look], seen: SeenImages) -> Finding | None:
    """A warning where pictures lie far outside of what training saw; the more pictures, the surer.

    What it notices: a wrong scale (0…1 or normalised numbers as uint8), pictures much darker or flatter, lost colour.
    What it cannot: swapped or inverted channels of photos, which leave all three figures in their range.
    """
    if not looks:
        return None
    allowed = FAR + FAR_ALONE / math.sqrt(len(looks))
    means = np.array(looks, dtype=np.float64).mean(axis=0)
    told = []
    for name, mean in zip(Look._fields, means, strict=True):
        known: ImageRange = getattr(seen, name)
        if abs(mean - known.mean) > allowed * max(known.deviation, _LEAST_DEVIATION):
            told.append(f"{name} {mean:.0f}, in training {known.mean:.0f} ± {known.deviation:.0f}")
    if not told and _all_grey(looks, seen):
        told.append(f"none of {len(looks)} has colour, in training {100 * (1 - seen.grey):.0f} % had")
    if not told:
        return None
    return Finding(
        code="unlike-training",
        severity="warning",
        text="These pictures look like nothing that the model was trained on: expect wrong answers.",
        evidence="; ".join(told),
        remedy="Give paths, PIL images or arrays in 0…255 as they come, neither scaled nor normalised: the model does "
        "that itself.",
    )


def _all_grey(looks: Sequence[Look], seen: SeenImages) -> bool:
    """Whether all are grey, and so many would hardly be by chance."""
    chance: Any = (seen.grey + 1 / (seen.pictures + 1)) ** len(looks)
    return all(each.colour < _GREY for each in looks) and bool(chance < _GREY_CHANCE)
