"""What the audit of the data found, ready to be shown: gravest first, each finding with its exhibits."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass

from cutpoint.evaluation.findings import gravest_first
from cutpoint.reports import format
from cutpoint.reports.facts import winner_of
from cutpoint.reports.pictures import Pictures
from cutpoint.types import Audit, Exhibit, Finding, LabelIssue, Result, Severity

_PICTURE_BYTES = 700_000
_MOST_EXHIBITS = 8
_MOST_OPEN = 2
"""Findings whose exhibits are not folded."""
_MOST_ISSUES = 40
_MOST_WEIGHTS = 60
_KINDS: dict[Severity, tuple[str, str]] = {
    "error": ("error", "errors"),
    "warning": ("warning", "warnings"),
    "info": ("note", "notes"),
}


@dataclass(frozen=True)
class Shown:
    """A finding with the exhibits that have room, each beside its picture; `open` where they are not folded."""

    finding: Finding
    exhibits: tuple[tuple[Exhibit, str | None], ...]
    hidden: int
    open: bool


@dataclass(frozen=True)
class AuditSection:
    """What the template shows of an audit."""

    summary: str
    found: str
    findings: tuple[Shown, ...]
    checked: tuple[str, ...]
    not_checked: tuple[tuple[str, str], ...]
    weights: tuple[tuple[str, float], ...]
    hidden_weights: int
    issues: tuple[LabelIssue, ...]
    hidden_issues: int
    review: str
    refit: str


def audit_section(result: Result) -> AuditSection | None:
    """The section; None where the data were not audited."""
    audit = result.audit
    if audit is None:
        return None
    pictures = Pictures(_PICTURE_BYTES)
    weights = sorted(audit.class_weights.items(), key=lambda pair: -pair[1])
    asked = f"{shlex.quote(result.data.source)}{_backbone(result)}"
    return AuditSection(
        summary=_summary(audit),
        found=found_in_words(audit),
        findings=tuple(
            _shown(finding, pictures, is_open=place < _MOST_OPEN)
            for place, finding in enumerate(gravest_first(audit.findings))
        ),
        checked=tuple(check_name(code) for code in audit.checked),
        not_checked=tuple((check_name(code), reason) for code, reason in audit.not_checked.items()),
        weights=tuple(weights[:_MOST_WEIGHTS]),
        hidden_weights=max(0, len(weights) - _MOST_WEIGHTS),
        issues=audit.label_issues[:_MOST_ISSUES],
        hidden_issues=max(0, len(audit.label_issues) - _MOST_ISSUES),
        review=f"cutpoint audit {asked} --review labels.csv",
        refit=f"cutpoint fit {asked} --labels labels.csv",
    )


def found_in_words(audit: Audit) -> str:
    """Such as "1 error, 2 warnings"; empty where nothing was found."""
    counts = Counter(finding.severity for finding in audit.findings)
    return ", ".join(
        format.plural(counts[severity], *words) for severity, words in _KINDS.items() if counts[severity]
    )


def check_name(code: str) -> str:
    """A check's code as words: "near-duplicates" → "near duplicates"."""
    return code.replace("-", " ").replace("_", " ")


def _summary(audit: Audit) -> str:
    checks = format.plural(len(audit.checked), "check")
    return f"{checks} ran, in {format.seconds(audit.seconds)}."


def _shown(finding: Finding, pictures: Pictures, *, is_open: bool) -> Shown:
    exhibits = finding.exhibits[:_MOST_EXHIBITS]
    return Shown(
        finding=finding,
        exhibits=tuple((exhibit, pictures.take(exhibit.thumbnail)) for exhibit in exhibits),
        hidden=len(finding.exhibits) - len(exhibits),
        open=is_open,
    )


def _backbone(result: Result) -> str:
    """The option for the backbone that the audit looked through: never hand-made features, which only race."""
    winner = winner_of(result)
    name = result.advice.axes.backbone if result.advice else winner.backbone if winner else ""
    reference = result.backbones.get(name)
    if reference is None or reference.kind in ("none", "module"):
        return ""
    return f" --backbone {shlex.quote(reference.path or reference.name)}"
