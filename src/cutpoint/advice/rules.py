"""The field's rule sets, evaluated on the measured axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import Field

from cutpoint.advice.conditions import Condition
from cutpoint.advice.situation import Situation
from cutpoint.types import Record, RuleOutcome

_COLLECT = "more data first"


class Rule(Record):
    """If so, then these regimes."""

    text: str
    """The condition in words."""
    when: Condition
    regimes: tuple[str, ...]
    """Rows of the regimes' table, the first preferred; none where the advice is no regime."""
    advice: str


class RuleSet(Record):
    """Rules of one author."""

    name: str = Field(alias="set")
    title: str
    source: str
    order: Literal["first", "all"]
    """Whether the first match wins, or all that match fire."""
    rules: tuple[Rule, ...]


@cache
def rule_sets() -> tuple[RuleSet, ...]:
    """All of `rules.yaml`."""
    text = files("cutpoint.advice").joinpath("rules.yaml").read_text(encoding="utf-8")
    return tuple(RuleSet.model_validate(row) for row in yaml.safe_load(text))


def evaluate_rules(situation: Situation) -> tuple[RuleOutcome, ...]:
    """What every rule set says."""
    return tuple(_evaluate(rules, situation) for rules in rule_sets())


def _evaluate(rule_set: RuleSet, situation: Situation) -> RuleOutcome:
    fired = [rule for rule in rule_set.rules if rule.when.holds(situation)]
    if rule_set.order == "first":
        fired = fired[:1]
    return RuleOutcome(
        rule_set=rule_set.name,
        title=rule_set.title,
        source=rule_set.source,
        fired="; ".join(rule.text for rule in fired) or None,
        regimes=tuple(dict.fromkeys(name for rule in fired for name in rule.regimes)),
        advice="; ".join(rule.advice for rule in fired),
    )


def agreement(outcomes: Sequence[RuleOutcome]) -> str:
    """Where the rule sets agree and where they do not, in a sentence."""
    said: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.fired is not None:
            said.setdefault(_first_word(outcome), []).append(outcome.rule_set)
    silent = [outcome.rule_set for outcome in outcomes if outcome.fired is None and outcome.rule_set != "all"]
    if not said:
        return "None of the field's rules applies here."
    parts = [f"{_listed(sets)} say{'s' if len(sets) == 1 else ''} {word}" for word, sets in said.items()]
    verb = "agree" if len(said) == 1 else "disagree"
    sentence = f"The rule sets {verb}: {', '.join(parts)}" if sum(map(len, said.values())) > 1 else parts[0]
    return (
        f"{sentence}; {_listed(silent)} {'is' if len(silent) == 1 else 'are'} silent."
        if silent
        else f"{sentence}."
    )


def _first_word(outcome: RuleOutcome) -> str:
    return outcome.regimes[0] if outcome.regimes else _COLLECT


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
