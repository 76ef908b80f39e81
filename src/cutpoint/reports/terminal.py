"""The result as a table for the terminal, 100 columns wide."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cutpoint.evaluation.findings import gravest_first
from cutpoint.reports import format
from cutpoint.reports.facts import (
    STATUS_WORDS,
    cheapest_first,
    comparison_of,
    known_cost,
    labels_of,
    winner_of,
)
from cutpoint.reports.rules import agreement_in_words
from cutpoint.types import Finding, Result, Trial

_WIDTH = 100
_NAME_WIDTH = 24
_MOST_OF_A_FINDING = 2 * _WIDTH - 12
_ANSWERS = ("label-correction-gain",)
"""Notes of the audit that answer an option which the user gave."""
"""Characters that two lines hold, words unbroken."""
_STYLES = {"error": "bold red", "warning": "yellow", "info": ""}


def print_result(result: Result, console: Console) -> None:
    """Print the table of trials, the verdict, the test score and the warnings."""
    if result.trials:
        console.print(_table(result))
    else:
        console.print(Text("No trial has run."))
    for line in _closing_lines(result):
        console.print(line)


def result_text(result: Result) -> str:
    """What `print(result)` shows: the same without colours."""
    file = io.StringIO()
    print_result(result, Console(file=file, width=_WIDTH, color_system=None, force_terminal=False))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def _table(result: Result) -> Table:
    labels = labels_of(result)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    longest = max(map(len, ("trial", *labels.values())))
    table.add_column("trial", width=min(_NAME_WIDTH, longest), overflow="fold")
    table.add_column(format.metric_name(result.task.metric) + " [95 % interval]", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("trained", justify="right", no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    remembers = any(trial.retention for trial in result.trials)
    if remembers:
        table.add_column("elsewhere", justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for trial in cheapest_first(result.trials):
        ships = trial.id == result.winner
        table.add_row(
            Text(labels[trial.id]),
            Text(_score_words(trial)),
            Text(_seconds_words(trial)),
            Text(format.share(trial.cost.trainable_parameters, trial.cost.total_parameters)),
            Text(format.size(trial.cost.stored_bytes)),
            *([Text(_retention_words(trial))] if remembers else []),
            Text(_verdict_words(result, trial)),
            style="bold green" if ships else "" if trial.status == "finished" else "dim",
        )
    return table


def _score_words(trial: Trial) -> str:
    if trial.validation is None:
        return format.ABSENT
    interval = format.interval(trial.validation).removesuffix(" %")
    return f"{format.score(trial.validation)} [{interval}]"


def _retention_words(trial: Trial) -> str:
    """What the pretrained network's own ability gained or lost on the reference set."""
    if trial.retention is None:
        return format.ABSENT
    return format.gain_words(trial.retention.change, trial.retention.metric)


def _seconds_words(trial: Trial) -> str:
    known = known_cost(trial).seconds
    if known is None:
        return format.ABSENT
    number = f"{known:.2f}" if known < 1 else f"{known:.1f}" if known < 100 else f"{known:.0f}"
    return number if trial.cost.seconds is not None else f"~{number}"


class PrintedResult(Result):
    """A result that prints as the table of its trials."""

    def __str__(self) -> str:
        return result_text(self)


def _verdict_words(result: Result, trial: Trial) -> str:
    if trial.id == result.winner:
        return "ships"
    if trial.status not in ("finished", "eliminated"):
        return ": ".join(filter(None, [STATUS_WORDS[trial.status], trial.reason]))
    comparison = comparison_of(result, trial)
    if comparison is None:
        led = any(other.leader == trial.id for other in result.comparisons)
        return trial.reason or ("led at first" if led else "")
    amount = format.gain_words(comparison.gain, result.task.metric)
    outcome = {"replaces": "led for a while", "eliminated": STATUS_WORDS["eliminated"]}.get(
        comparison.decision, comparison.decision
    )
    return f"{outcome}: {amount}, P(gain > 0) {format.probability(comparison.p_positive)}"


def _closing_lines(result: Result) -> list[Text]:
    lines = [Text()]
    if result.status == "interrupted":
        lines.append(Text("Interrupted: only finished trials count.", style="yellow"))
    if result.verdict is not None:
        lines += [Text(line) for line in _verdict_sentences(result)]
    if result.test is not None:
        name = format.metric_name(result.test.metric)
        lines.append(
            Text(
                f"Test {name}: {format.score(result.test)}, 95 % interval {format.interval(result.test)}, "
                f"{format.plural(result.test.n, 'example')}."
            )
        )
    said = result.verdict.findings if result.verdict else ()
    lines += [_finding_line(finding, finding.text, finding.evidence, finding.remedy) for finding in said]
    lines += _audit_lines(result, {finding.text for finding in said})
    if agreement := agreement_in_words(result):
        lines.append(Text(agreement))
    if winner_of(result) is not None:
        lines.append(Text(f"Model: {result.best}   Report: {result.run}/report.html", style="dim"))
    return lines


def _finding_line(finding: Finding, *parts: str) -> Text:
    words = " ".join(part if part.endswith(".") else f"{part}." for part in parts if part)
    return Text(f"{finding.severity.capitalize()}: {words}", style=_STYLES[finding.severity])


def _audit_lines(result: Result, said: set[str]) -> list[Text]:
    """What the audit found, each in two lines at most; what they do not hold is left to the report."""
    found = gravest_first(result.audit.findings) if result.audit else []
    lines = []
    for finding in found:
        is_told = finding.severity != "info" or finding.code in _ANSWERS
        if is_told and finding.text not in said:
            line = _finding_line(finding, finding.text, finding.remedy)
            if len(line) > _MOST_OF_A_FINDING:
                line = _finding_line(finding, finding.text)
            line.truncate(_MOST_OF_A_FINDING, overflow="ellipsis")
            lines.append(line)
    return lines


def _verdict_sentences(result: Result) -> list[str]:
    """The verdict's sentences, each once: its text, then what the text left out."""
    verdict = result.verdict
    if verdict is None:
        return []
    kept = [verdict.text] if verdict.text else []
    return kept + [
        part for part in (verdict.ship, verdict.dearer, verdict.flip) if part and part not in verdict.text
    ]
