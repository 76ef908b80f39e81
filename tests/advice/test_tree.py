"""The decision tree: sound as data, and the lit path."""

from __future__ import annotations

from typing import Any

import pytest

from cutpoint.advice.tree import tree, walk
from cutpoint.regimes import named_regimes
from cutpoint.types import Circumstances, Limits, Provenance


def test_every_path_ends_in_rows_of_the_regimes_table() -> None:
    known = {regime.name for regime in named_regimes()}
    nodes = tree()
    reached = {next(iter(nodes))} | {answer.next for node in nodes.values() for answer in node.answers}
    assert reached - {None} == set(nodes)
    for node in nodes.values():
        assert not node.answers[-1].when.model_fields_set, f"{node.name} may have no answer"
        for answer in node.answers:
            assert bool(answer.next) != bool(answer.regimes)
            assert set(answer.regimes) <= known


@pytest.mark.parametrize(
    ("given", "regime", "last"),
    [
        ({"distance": 0.29}, "linear-probe", "less, or examples are few"),
        (
            {"distance": 0.1, "circumstances": Circumstances(wrong_costs="trust")},
            "full",
            "trust, and there are 1 000 examples or more",
        ),
        ({"distance": 0.3, "rows": 999}, "linear-probe", "below 1 000"),
        ({"distance": 0.3, "rows": 1000}, "partial", "fewer"),
        ({"distance": 0.5, "per_class": 19.0}, "linear-probe", "below 20 a class"),
        ({"distance": 0.5, "rows": 4999}, "partial", "fewer"),
        ({"distance": 0.5, "rows": 5000}, "full", "fewer"),
        ({"distance": 0.5, "rows": 5000, "circumstances": Circumstances(tasks=10)}, "lora", "ten or more"),
        ({"distance": 0.9, "rows": 5000}, "full", "5 000 or more, and from scratch beside it"),
        ({"distance": None}, "linear-probe", "not measured"),
        ({"kind": "language", "distance": None}, "lora", "yes"),
        ({"kind": "language", "distance": None, "limits": Limits(max_memory_bytes=10**8)}, "qlora", "no"),
        ({"modality": "features", "distance": None}, "linear-probe", "no: rows of numbers"),
    ],
)
def test_path(situation: Any, given: dict[str, Any], regime: str, last: str) -> None:
    steps, recommended = walk(situation(**given))
    assert recommended == regime
    assert steps[-1].answer == last
    assert all(step.answer in step.options for step in steps)


def test_provenance_leads_to_scratch(situation: Any) -> None:
    forbidden = {"provenance": Provenance(), "limits": Limits(known_provenance=True)}
    steps, recommended = walk(situation(**forbidden))
    assert recommended == "scratch" and len(steps) == 2


def test_a_regime_that_a_limit_rules_out_is_not_recommended(situation: Any) -> None:
    _, recommended = walk(situation(distance=0.6, limits=Limits(max_stored_bytes=500_000)))
    assert recommended == "lora"  # partial stores 1 MB, full 20 MB
