"""Regularisation paths: the strengths that are tried from strong to weak, and which of them is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from torch import Tensor

Place = TypeVar("Place")

ROUGH_TOLERANCE = 1e-3
"""So near the optimum a strength shows that it is far too weak; its last steps are the dearest of all."""
_CLEARLY_WORSE = 2e-2
"""Of the held-out loss: many times what the last steps add to it, which is nearly always more loss, not less."""

PATH_TOLERANCE = 1e-8
"""A looser path stops short of the optimum where the classes separate, and so chooses too weak a penalty."""
FINAL_TOLERANCE = 1e-11
"""Logits then change by less than a hundred-thousandth of their size if the solver goes on."""


@dataclass(frozen=True)
class Chosen:
    """The strength of the least held-out loss, with the losses of all.

    Attributes:
        path: (strength, loss) from strong to weak.
        held_out: (N, K) logits or scaled values of each row by the fit without it, at the chosen strength; None where
            they were not asked for.
        start: (R, K) parameters near those of the fit on all rows; None where there are none.
    """

    path: list[tuple[float, float]]
    held_out: Tensor | None
    start: Tensor | None = None

    @property
    def strength(self) -> float:
        return self.path[best(self.path)][0]


def follow(
    strengths: Sequence[float],
    start: Place,
    solve: Callable[[float, Place, float], Place],
    loss: Callable[[Place], float],
    tolerance: float,
    rises: int,
) -> tuple[list[tuple[float, float]], Place]:
    """The path from strong to weak, each strength from the optimum of the one before, and the best one's optimum.

    A strength is solved roughly first. On the way from a stronger penalty to a weaker one the fit is still the more
    cautious: if it is clearly worse than the best already there, its own optimum is not needed.

    Args:
        strengths: Inverse penalties, rising.
        start: Of the first of them.
        solve: (strength, start, tolerance) → the optimum.
        loss: Held-out loss there.
        tolerance: Of what may turn out to be the best.
        rises: As in `past_the_valley`.
    """
    path: list[tuple[float, float]] = []
    place = kept = start
    for strength in strengths:
        place = solve(strength, place, ROUGH_TOLERANCE)
        value = loss(place)
        if not path or value < path[best(path)][1] + _CLEARLY_WORSE:
            place = solve(strength, place, tolerance)
            value = loss(place)
        path.append((strength, value))
        if best(path) == len(path) - 1:
            kept = place
        if past_the_valley(path, rises):
            break
    return path, kept


def best(path: list[tuple[float, float]]) -> int:
    """`min` keeps the first of equals, and the strengths rise: ties go to the stronger penalty."""
    return min(range(len(path)), key=lambda number: path[number][1])


def past_the_valley(path: list[tuple[float, float]], rises: int) -> bool:
    """Weaker penalties overfit more and cost most: after so many rises in a row there is nothing to find."""
    last = [loss for _, loss in path[-rises - 1 :]]
    return len(last) > rises and all(before < after for before, after in pairwise(last))
