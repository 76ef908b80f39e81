"""The cut that is known before anything is computed."""

from __future__ import annotations

import pytest

from cutpoint.backbones.builtin import load_builtin
from cutpoint.planning.known_cut import known_cut
from cutpoint.regimes import Phase, Regime, resolve_regimes
from cutpoint.types import Task

BACKBONE = load_builtin()
TASK = Task(kind="binary", labels=("a", "b"))


def at(cut: int) -> Regime:
    return Regime(
        name=f"at-{cut}", phases=(Phase(train="head", solver="exact"), Phase(train=BACKBONE.blocks[cut].name))
    )


def test_a_regime_that_names_its_block_is_known() -> None:
    assert known_cut(BACKBONE, [at(2)], None, TASK) == 2
    assert (
        known_cut(BACKBONE, [at(2), *resolve_regimes(["linear-probe", "full", "scratch"])], None, TASK) == 2
    )


def test_a_cut_of_the_users_is_known() -> None:
    regimes = resolve_regimes(["linear-probe", "partial"])
    assert known_cut(BACKBONE, regimes, None, TASK) is None
    assert known_cut(BACKBONE, regimes, 1, TASK) == 1


@pytest.mark.parametrize("regimes", [["linear-probe"], ["full"], ["scratch"], ["partial-views"]])
def test_nothing_is_read_at_a_cut_of_what_is_augmented_or_has_none(regimes: list[str]) -> None:
    assert (
        known_cut(BACKBONE, resolve_regimes(regimes), 1 if regimes == ["partial-views"] else None, TASK)
        is None
    )


def test_two_cuts_are_not_guessed_between() -> None:
    assert known_cut(BACKBONE, [at(1), at(2)], None, TASK) is None
