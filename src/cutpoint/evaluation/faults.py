"""How a fault of training is told."""

from __future__ import annotations

from cutpoint.types import Finding


def warning(code: str, text: str, evidence: str, remedy: str) -> Finding:
    """A fault that asks for a remedy."""
    return Finding(code=code, severity="warning", text=text, evidence=evidence, remedy=remedy)


def in_some_fits(finding: Finding, count: int, fits: int) -> Finding:
    """The finding of one fit (fold), with how many of all fits show it; of a single fit there is nothing to say."""
    if fits == 1:
        return finding
    return finding.model_copy(update={"evidence": f"{finding.evidence} (in {count} of {fits} fits)"})
