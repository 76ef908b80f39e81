"""What short runs choose: the ladder of ranks, and how a choice becomes part of a recipe."""

from __future__ import annotations

import pytest

from cutpoint.backbones.builtin import load_builtin
from cutpoint.race.choices import RANKS, Choices, ShortRun, climb
from cutpoint.regimes import resolve_regimes
from cutpoint.regimes.recipe import ADAPTER_RATES, FIRST_RANK, resolve_recipe
from cutpoint.types import Task

TASK = Task(kind="binary", labels=("a", "b"))


@pytest.mark.parametrize(
    ("losses", "best", "tried"),
    [
        ({32: 0.9, 64: 0.8}, 64, [32, 64]),  # the ladder ends there
        ({32: 0.9, 64: 0.95}, 32, [32, 64]),
        ({32: 1.1, 8: 0.9, 4: 0.95}, 8, [32, 8, 4]),
        ({32: 1.1, 8: 0.9, 4: 0.8}, 4, [32, 8, 4]),
        ({32: 1.0, 8: 1.0}, 16, [32, 8]),  # a tie goes to the rank that is there
    ],
)
def test_the_ladder_is_climbed_as_long_as_it_helps(
    losses: dict[int, float], best: int, tried: list[int]
) -> None:
    asked: list[int] = []

    def loss_of(rank: int) -> float:
        asked.append(rank)
        return losses[rank]

    assert climb(16, 1.0, loss_of) == best
    assert asked == tried
    assert all(RANKS[0] <= rank <= RANKS[1] for rank in asked)


def test_choices_close_what_a_recipe_leaves_open() -> None:
    recipe = resolve_recipe(resolve_regimes("lora")[0], load_builtin(), cut=None, rows=100, task=TASK)
    assert recipe.rank_is_open and recipe.rate_candidates == ADAPTER_RATES
    assert recipe.regime.adapter is not None and recipe.regime.adapter.rank == FIRST_RANK
    run = ShortRun(rate=1e-3, rank=8, loss=0.5, seconds=2.0)
    choices = Choices(rate=1e-3, rank=8, tried=(run, run))
    chosen = choices.applied(recipe)
    assert choices.seconds == 4.0
    assert not chosen.rank_is_open and chosen.rate_candidates == ()
    assert chosen.regime.adapter is not None and chosen.regime.adapter.rank == 8
    assert chosen.stages[-1].phase.rate == 1e-3
    assert Choices.model_validate_json(choices.model_dump_json()) == choices
    fixed = resolve_recipe(resolve_regimes("rslora")[0], load_builtin(), cut=None, rows=100, task=TASK)
    assert not fixed.rank_is_open and Choices(rate=None, rank=None).applied(fixed) == fixed
