"""What the user should know: findings with examples, and the audit of the data."""

from __future__ import annotations

from typing import Literal

from cutpoint.types.record import Record

Severity = Literal["info", "warning", "error"]


class Exhibit(Record):
    """One example that a finding points at."""

    name: str
    """As in `Dataset.names`."""
    note: str = ""
    """What is to be seen in it, such as "test, longsleeve" or "same pixels as train/a.jpg"."""
    thumbnail: str | None = None
    """A data URI (JPEG), where the input is an image."""
    excerpt: str | None = None
    """The beginning of the text, where the input is one."""


class Finding(Record):
    """Something that the user should know, with evidence and a remedy."""

    code: str
    severity: Severity
    text: str
    evidence: str = ""
    remedy: str = ""
    exhibits: tuple[Exhibit, ...] = ()
    """A few examples; how many there are in all stands in `text`."""


class LabelIssue(Record):
    """An example whose label is probably wrong: a candidate for review, not a verdict."""

    name: str
    given: str
    suggested: str
    p_given: float
    """Out-of-fold probability of the given label."""
    p_suggested: float


class Audit(Record):
    """What is odd in the data."""

    checked: tuple[str, ...]
    """Codes of the checks that ran."""
    not_checked: dict[str, str] = {}
    """Code of a check → why it did not run."""
    findings: tuple[Finding, ...] = ()
    class_weights: dict[str, float] = {}
    """Class → weight of its examples that makes all classes count alike."""
    label_issues: tuple[LabelIssue, ...] = ()
    """Least likely label first."""
    seconds: float = 0.0

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """What makes a score on the test or validation split untrustworthy: it stops a run."""
        return tuple(finding for finding in self.findings if finding.severity == "error")
