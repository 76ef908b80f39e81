"""Regularisation paths: the strengths that are tried from strong to weak, and which of them is taken."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

PATH_TOLERANCE = 1e-6
"""A looser path stops short of the optimum where the classes separate, and so chooses too weak a penalty."""
PATH_TOLERANCE_OF_MANY = 1e-5
"""Of many rows, no loss rises by chance."""
FINAL_TOLERANCE = 1e-8
"""Newton's last step lands far nearer than its start: predictions are then exact to the last digit of float32."""


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


def best(path: list[tuple[float, float]]) -> int:
    """`min` keeps the first of equals, and the strengths rise: ties go to the stronger penalty."""
    return min(range(len(path)), key=lambda number: path[number][1])


def past_the_valley(path: list[tuple[float, float]], rises: int) -> bool:
    """Weaker penalties overfit more and cost most: after so many rises in a row there is nothing to find."""
    last = [loss for _, loss in path[-rises - 1 :]]
    return len(last) > rises and all(before < after for before, after in pairwise(last))
