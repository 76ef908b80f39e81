"""The field's rule sets against axes made by hand, at their boundaries too."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cutpoint.advice.conditions import Condition
from cutpoint.advice.rules import agreement, evaluate_rules, rule_sets
from cutpoint.regimes import named_regimes
from cutpoint.types import Circumstances, Limits, Provenance, RuleOutcome

CLOSE, RELATED, DISTANT, VERY = 0.1, 0.4, 0.6, 0.9
TRUST = Circumstances(wrong_costs="trust")


def says(situation: Any, rule_set: str, **given: Any) -> tuple[str, ...] | None:
    """First regimes of what fired; None where nothing did."""
    (outcome,) = (each for each in evaluate_rules(situation(**given)) if each.rule_set == rule_set)
    return None if outcome.fired is None else outcome.regimes


def test_every_rule_names_rows_of_the_regimes_table() -> None:
    known = {regime.name for regime in named_regimes()}
    assert [rules.name for rules in rule_sets()] == ["A", "B", "C", "D", "E", "all"]
    for rules in rule_sets():
        assert rules.title and rules.source
        for rule in rules.rules:
            assert set(rule.regimes) <= known, (rules.name, rule.text)
            assert rule.when.model_fields_set, "a rule without a condition would always fire"


@pytest.mark.parametrize(
    ("given", "regimes"),
    [
        ({"rows": 4999, "distance": RELATED}, ("linear-probe", "mlp-head")),
        ({"rows": 5000, "distance": RELATED}, None),  # large and similar: A says nothing of it
        ({"rows": 5000, "distance": DISTANT}, ("full",)),
        ({"rows": 4999, "distance": DISTANT}, None),
        ({"rows": 150, "per_class": 19.0, "distance": VERY}, ()),  # collect more data
        ({"rows": 200, "per_class": 20.0, "distance": VERY}, None),
        ({"rows": 100, "distance": RELATED, "parameters": 10**9}, ("linear-probe", "mlp-head", "lora")),
        ({"rows": 100, "distance": VERY, "parameters": 10**9 - 1, "per_class": 40.0}, None),
        ({"kind": "language", "distance": None, "per_class": None}, ("lora",)),
    ],
)
def test_set_a(situation: Any, given: dict[str, Any], regimes: Any) -> None:
    assert says(situation, "A", **given) == regimes


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ({"rows": 4999, "distance": CLOSE}, "linear-probe"),
        ({"rows": 4999, "distance": CLOSE, "parameters": 10**9}, "linear-probe"),  # the first match wins
        ({"rows": 5000, "distance": CLOSE, "parameters": 10**9}, "lora"),
        ({"rows": 5000, "distance": DISTANT}, "partial"),
        ({"rows": 49_999, "distance": DISTANT}, "partial"),
        ({"rows": 50_000, "distance": DISTANT}, None),
        ({"rows": 50_000, "distance": DISTANT, "circumstances": TRUST}, "full"),
        ({"rows": 4999, "distance": DISTANT}, None),
    ],
)
def test_set_b(situation: Any, given: dict[str, Any], first: str | None) -> None:
    regimes = says(situation, "B", **given)
    assert regimes is None if first is None else regimes is not None and regimes[0] == first


@pytest.mark.parametrize(
    ("given", "regimes"),
    [
        ({"rows": 999, "distance": CLOSE}, ("linear-probe", "mlp-head")),
        ({"rows": 999, "distance": CLOSE, "circumstances": TRUST}, None),
        ({"rows": 1000, "distance": CLOSE}, ("full", "partial")),
        ({"rows": 50_000, "distance": RELATED}, ("full", "partial")),
        ({"rows": 50_001, "distance": RELATED}, None),
        ({"rows": 50_001, "distance": VERY}, ("scratch",)),
        ({"rows": 50_001, "distance": DISTANT}, None),
        ({"rows": 999, "distance": DISTANT, "circumstances": Circumstances(tasks=10)}, ("lora", "qlora")),
        ({"rows": 999, "distance": DISTANT, "circumstances": Circumstances(tasks=9)}, None),
        ({"rows": 999, "distance": DISTANT, "limits": Limits(max_memory_bytes=10**8)}, ("lora", "qlora")),
        (
            {"distance": DISTANT, "provenance": Provenance(), "limits": Limits(known_provenance=True)},
            ("scratch",),
        ),
        ({"distance": DISTANT, "provenance": Provenance()}, None),
    ],
)
def test_set_c(situation: Any, given: dict[str, Any], regimes: Any) -> None:
    assert says(situation, "C", **given) == regimes


@pytest.mark.parametrize(
    ("rows", "distance", "set_d", "set_e"),
    [
        (4999, RELATED, "linear-probe", "linear-probe"),
        (5000, RELATED, "full", "full"),
        (4999, DISTANT, "partial", "partial"),
        (5000, VERY, "full", "full"),
    ],
)
def test_two_by_two(situation: Any, rows: int, distance: float, set_d: str, set_e: str) -> None:
    for name, first in (("D", set_d), ("E", set_e)):
        regimes = says(situation, name, rows=rows, distance=distance)
        assert regimes is not None and regimes[0] == first


def test_scarce_labels_add_adapters_in_set_e(situation: Any) -> None:
    few = says(situation, "E", rows=190, per_class=19.0, distance=CLOSE)
    assert few == ("linear-probe", "mlp-head", "lora", "prefix", "bottleneck")
    assert says(situation, "E", rows=200, per_class=20.0, distance=CLOSE) == ("linear-probe", "mlp-head")


def test_rows_of_numbers_have_nothing_to_transfer(situation: Any) -> None:
    table = {"modality": "features", "distance": None, "parameters": 0}
    assert says(situation, "all", **table) == ("gradient-boosting",)
    assert says(situation, "C", **table) == ("scratch",)
    assert says(situation, "all") is None


def test_what_was_not_measured_fires_nothing(situation: Any) -> None:
    outcomes = evaluate_rules(situation(distance=None, per_class=None))
    assert [outcome.fired for outcome in outcomes] == [None] * 6
    assert agreement(outcomes) == "None of the field's rules applies here."


def outcome(name: str, *regimes: str, fired: bool = True) -> RuleOutcome:
    return RuleOutcome(rule_set=name, title="", source="", fired="so" if fired else None, regimes=regimes)


def test_agreement_and_disagreement_are_told() -> None:
    assert agreement(
        [outcome("A", "full"), outcome("D", "full", "partial"), outcome("all", fired=False)]
    ) == ("The rule sets agree: A and D say full.")
    told = agreement([outcome("A", "full"), outcome("B"), outcome("C", fired=False), outcome("D", "full")])
    assert told == "The rule sets disagree: A and D say full, B says more data first; C is silent."
    assert agreement([outcome("A", "full"), outcome("B", fired=False)]) == "A says full; B is silent."


def test_a_mistyped_condition_is_refused() -> None:
    with pytest.raises(ValidationError):
        Condition.model_validate({"row_below": 5})
    with pytest.raises(ValidationError):
        Condition.model_validate({"distance": ["near"]})
