"""The parts of the page that show evidence: audit, advice, labels, backbones, screening, proofs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from cutpoint.evaluation.findings import gravest_first
from cutpoint.reports import facts
from cutpoint.reports.data_audit import audit_section
from cutpoint.reports.forecast import (
    accuracy_in_words,
    outcome_chart,
    outcomes,
    predicted_costs,
    prices,
    times,
)
from cutpoint.reports.label_curve import label_chart
from cutpoint.reports.ladder import ladder_of
from cutpoint.reports.rules import RuleRow, agreement_in_words, rule_rows
from cutpoint.reports.scorecard import AxisCard, scorecard
from cutpoint.reports.transferability import transferability
from cutpoint.reports.trust import first_cuts_in_words, frozen_proofs, luck_in_words
from cutpoint.types import Advice, Finding, Result


@dataclass(frozen=True)
class AdviceSection:
    """Advice with what the race made of it."""

    advice: Advice
    cards: tuple[AxisCard, ...]
    rules: tuple[RuleRow, ...]
    agreement: str
    findings: tuple[Finding, ...]
    winner_regime: str | None


def evidence_of(result: Result) -> dict[str, Any]:
    """What the templates of the evidence need; None or empty where the result holds no such record."""
    costs = outcomes(result)
    luck = luck_in_words(result)
    first_cuts = first_cuts_in_words(result)
    frozen = frozen_proofs(result)
    return {
        "audit": audit_section(result),
        "advised": _advised(result),
        "prices": prices(result) if result.advice else (),
        "labels_curve": result.advice.labels if result.advice else None,
        "labels_svg": _labels_svg(result),
        "transferability": transferability(result),
        "ladder": ladder_of(result),
        "luck": luck,
        "frozen": frozen,
        "first_cuts": first_cuts,
        "cost_outcomes": costs,
        "cost_sentences": accuracy_in_words(costs),
        "cost_svg": Markup(outcome_chart(costs)) if len(costs) > 1 else None,
        "ratio": times,
        "any_trust": bool(luck or first_cuts or frozen or costs),
    }


def _advised(result: Result) -> AdviceSection | None:
    advice = result.advice
    if advice is None:
        return None
    winner = facts.winner_of(result)
    return AdviceSection(
        advice=advice,
        cards=scorecard(advice.axes, predicted_costs(result).values(), result.task.for_heads.metric),
        rules=rule_rows(result),
        agreement=agreement_in_words(result),
        findings=gravest_first(advice.findings),
        winner_regime=winner.regime if winner else None,
    )


def _labels_svg(result: Result) -> Markup | None:
    curve = result.advice.labels if result.advice else None
    return Markup(label_chart(curve)) if curve and curve.points else None
