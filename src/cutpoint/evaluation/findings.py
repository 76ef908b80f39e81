"""Findings: how a warning is told, and in which order they stand."""

from __future__ import annotations

from collections.abc import Iterable

from cutpoint.types import Finding

_GRAVEST_FIRST = {"error": 0, "warning": 1, "info": 2}


def warning(code: str, text: str, evidence: str, remedy: str) -> Finding:
    """A fault that asks for a remedy."""
    return Finding(code=code, severity="warning", text=text, evidence=evidence, remedy=remedy)


def in_some_fits(finding: Finding, count: int, fits: int) -> Finding:
    """The finding of one fit (fold), with how many of all fits show it; of a single fit there is nothing to say."""
    if fits == 1:
        return finding
    return finding.model_copy(update={"evidence": f"{finding.evidence} (in {count} of {fits} fits)"})


def gravest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors, then warnings, then information; of one severity in the order in which they were found."""
    return tuple(sorted(findings, key=lambda finding: _GRAVEST_FIRST[finding.severity]))
