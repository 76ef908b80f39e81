"""What an audit found, on the terminal: gravest first, each with its evidence and what to do."""

from __future__ import annotations

from textwrap import wrap

from rich.console import Console
from rich.text import Text

from cutpoint.types import Audit, Finding, Severity

_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "info": "bold"}
_NAMES: dict[Severity, str] = {"error": "ERROR", "warning": "WARNING", "info": "NOTE"}


def show_audit(audit: Audit, console: Console) -> None:
    """Findings by severity, then what was checked and what could not be."""
    from cutpoint.reports.data_audit import check_name, found_in_words

    found = found_in_words(audit) or "nothing"
    console.print()
    console.print(Text(f"Found: {found}.", style="bold"))
    for finding in audit.findings:
        _show(finding, check_name(finding.code), console)
    console.print()
    checked = f"Checked in {audit.seconds:.1f} s: {', '.join(check_name(code) for code in audit.checked)}."
    skipped = [f"{check_name(code)} ({reason})" for code, reason in audit.not_checked.items()]
    console.print(Text(checked, style="dim"))
    if skipped:
        console.print(Text(f"Not checked: {', '.join(skipped)}.", style="dim"))


def _show(finding: Finding, name: str, console: Console) -> None:
    console.print()
    heading = Text(_NAMES[finding.severity], style=_STYLES[finding.severity])
    console.print(heading.append(f"  {name}", style="bold default"))
    for paragraph, style in ((finding.text, ""), (finding.evidence, "dim"), (finding.remedy, "italic")):
        for line in wrap(paragraph, console.width - 2, break_on_hyphens=False):
            console.print(Text(f"  {line}", style=style), soft_wrap=True)
