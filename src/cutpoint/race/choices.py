"""What short runs choose before a trial's fits: the rate, and the rank of an adapter."""

from __future__ import annotations

from collections.abc import Callable

from cutpoint.regimes.recipe import Recipe
from cutpoint.types import Record

RANKS = (4, 64)
"""Least and greatest rank of the ladder."""


class ShortRun(Record):
    """One candidate and how it did."""

    rate: float | None
    rank: int | None
    loss: float
    """Validation loss at the end."""
    seconds: float


class Choices(Record):
    """The winner among the candidates."""

    rate: float | None
    """None where the regime fixes every rate."""
    rank: int | None
    """None where there is no rank to choose."""
    tried: tuple[ShortRun, ...] = ()
    judging_seconds: float | None = None
    """Of the further runs that judged the winner; None: it was not judged yet."""

    @property
    def seconds(self) -> float:
        """Time that the short runs took."""
        return sum(run.seconds for run in self.tried) + (self.judging_seconds or 0.0)

    def applied(self, recipe: Recipe) -> Recipe:
        """The recipe with these choices."""
        if self.rank is not None:
            recipe = recipe.with_rank(self.rank).model_copy(update={"rank_is_open": False})
        return recipe if self.rate is None else recipe.with_rate(self.rate)


def climb(rank: int, loss: float, loss_of: Callable[[int], float]) -> int:
    """The best rank on the ladder: upwards from `rank` by doubling as long as the loss falls, else downwards.

    Args:
        rank: Where to start.
        loss: The loss there.
        loss_of: Tries a rank.
    """
    for factor in (2.0, 0.5):
        best = rank
        while RANKS[0] <= best * factor <= RANKS[1]:
            candidate = int(best * factor)
            tried = loss_of(candidate)
            if tried >= loss:
                break
            best, loss = candidate, tried
        if best != rank:
            return best
    return rank
