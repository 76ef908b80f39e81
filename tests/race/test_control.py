"""When training from random weights needs no run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cutpoint.planning.settings import Settings
from cutpoint.race.control import needless_control


def _plan(*inits: str, probe: float = 0.9, random_init: float = 0.3, **settings: Any) -> Any:
    """A plan with trials of one network, and what was measured of its features."""
    recipes = [SimpleNamespace(regime=SimpleNamespace(init=init)) for init in inits]
    axes = SimpleNamespace(backbone="net", probe=probe, random_init=random_init)
    baseline = SimpleNamespace(
        backbone="builtin:tfidf", recipe=SimpleNamespace(regime=SimpleNamespace(init="pretrained"))
    )
    return SimpleNamespace(
        settings=Settings(**settings),
        advice=SimpleNamespace(axes=axes),
        trials=[baseline, *(SimpleNamespace(backbone="net", recipe=recipe) for recipe in recipes)],
    )


def test_random_weights_run_where_they_may_win() -> None:
    assert "0.90 against 0.30" in needless_control(_plan("pretrained", "random"))
    assert not needless_control(_plan("pretrained", "random", random_init=0.89))
    assert not needless_control(_plan("pretrained", "random", exhaustive=True))


def test_random_weights_run_where_the_pretrained_ones_may_not() -> None:
    assert not needless_control(_plan("random"))
