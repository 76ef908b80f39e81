"""The field's rule sets beside what the race chose: which fired, what each recommends, and who was right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cutpoint.reports import facts, format
from cutpoint.types import Result, RuleOutcome, Trial

Agreement = Literal["first", "among", "other", "silent", "open"]


@dataclass(frozen=True)
class RuleRow:
    """A rule set and how it stands to the race's choice.

    `agreement`: the race chose its first recommendation · a further one · none of them · the set recommends no
    regime here · the race chose nothing.
    """

    outcome: RuleOutcome
    agreement: Agreement
    words: str


def rule_rows(result: Result) -> tuple[RuleRow, ...]:
    """One row a rule set, in the order of the advice."""
    if result.advice is None:
        return ()
    winner = facts.winner_of(result)
    return tuple(_row(result, outcome, winner) for outcome in result.advice.rules)


def agreement_in_words(result: Result) -> str:
    """How many rule sets recommended what the race chose; empty where nothing was advised or chosen."""
    winner = facts.winner_of(result)
    rows = rule_rows(result)
    sets = {
        kind: [row.outcome.rule_set for row in rows if row.agreement == kind]
        for kind in ("first", "among", "other")
    }
    speaking = sum(map(len, sets.values()))
    if winner is None or not speaking:
        return ""
    words = {
        "first": "recommended it first",
        "among": "named it among others",
        "other": "recommended something else",
    }
    parts = [f"{len(sets[kind])} {words[kind]} ({', '.join(sets[kind])})" for kind in words if sets[kind]]
    return (
        f"The race chose {winner.regime}. Of {format.plural(speaking, 'rule set')} that recommend something "
        f"here, {', '.join(parts)}."
    )


def _row(result: Result, outcome: RuleOutcome, winner: Trial | None) -> RuleRow:
    if outcome.fired is None or not outcome.regimes:
        return RuleRow(outcome, "silent", "recommends no regime here")
    if winner is None:
        return RuleRow(outcome, "open", "the race chose nothing")
    if winner.regime == outcome.regimes[0]:
        return RuleRow(outcome, "first", "yes")
    if winner.regime in outcome.regimes:
        return RuleRow(outcome, "among", "among its choices")
    return RuleRow(outcome, "other", _what_it_would_have_given(result, outcome, winner))


def _what_it_would_have_given(result: Result, outcome: RuleOutcome, winner: Trial) -> str:
    """The best that the recommended regimes scored in this race, or why none of them did."""
    metric = result.task.metric
    sign = format.direction(metric)
    raced = [
        (sign * trial.validation.value, trial)
        for trial in result.trials
        if trial.regime in outcome.regimes and trial.validation and trial.status == "finished"
    ]
    if not raced:
        return f"no: {outcome.regimes[0]} was {_fate(result, outcome)}"
    best = max(raced, key=lambda pair: pair[0])[1]
    words = f"no: {facts.labels_of(result)[best.id]} reached {format.score(best.validation)}"
    gain = facts.gain_over(result, best, winner)
    return f"{words}, {format.gain_words(gain.value, metric)} against the one that ships" if gain else words


def _fate(result: Result, outcome: RuleOutcome) -> str:
    found = [trial for trial in result.trials if trial.regime in outcome.regimes]
    return facts.STATUS_WORDS[found[0].status] if found else "not in this race"
