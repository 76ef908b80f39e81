"""Advice for the terminal, 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cutpoint.reports import format
from cutpoint.reports.facts import DISTANCE_NAMES
from cutpoint.types import WITHOUT_BACKBONE, Advice, Axes, Cost, LabelsCurve, RuleOutcome

_BAR = 20
_FULL, _EMPTY = "█", "░"
_LIT, _DARK = "●", "○"
_MARKS = {"done": ("✓", "green"), "open": ("○", ""), "warning": ("!", "yellow")}
_STYLES = {"error": "bold red", "warning": "yellow", "info": ""}


def print_advice(advice: Advice, console: Console, *, command: str) -> None:
    """Print scorecard, prices, rules, tree, labels, checklist, upkeep, findings, and what to type next.

    Args:
        advice: What to print.
        console: Where.
        command: Recommended as the first one.
    """
    _title("Axes", console)
    console.print(_scorecard(advice.axes))
    for sentence in (advice.measured, advice.band, advice.transfer_kind):
        console.print(Text(sentence))
    if advice.axes.predicted:
        _title("Predicted cost on this machine", console)
        console.print(_prices(advice))
        for trial in advice.excluded:
            console.print(_hanging("✗", f"{trial.id} is ruled out: {trial.reason}", "yellow"))
    _title("The field's rules", console)
    console.print(_rules(advice.rules))
    console.print(Text(advice.agreement))
    _title("Decision tree", console)
    _print_path(advice, console)
    if advice.labels is not None:
        _title("What labels buy", console)
        console.print(_labels(advice.labels))
        console.print(Text(advice.labels.sentence))
    _title("Before take-off", console)
    for item in advice.checklist:
        mark, style = _MARKS[item.state]
        detail = f" ({item.detail})" if item.detail else ""
        console.print(_hanging(mark, f"{item.text}{detail}", style))
    _print_upkeep(advice, console)
    for finding in advice.findings:
        words = " ".join(part for part in (finding.text, finding.evidence, finding.remedy) if part)
        console.print(Text(f"{finding.severity.capitalize()}: {words}", style=_STYLES[finding.severity]))
    console.print(Text(f"\nStart: {command}", style="bold"), soft_wrap=True)


def _title(words: str, console: Console) -> None:
    console.print(Text(f"\n{words}", style="bold"))


def _hanging(mark: str, words: str, style: str = "") -> Table:
    """A mark, and words that wrap beside it."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text(f"  {mark}", style=style), Text(words))
    return grid


# ------------------------------------------------------------------------------------------------ scorecard


def _scorecard(axes: Axes) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, value, share in _lines(axes):
        bar = "" if share is None else _bar(share)
        grid.add_row(Text(f"  {name}"), Text(value, justify="right"), Text(bar))
    return grid


def _lines(axes: Axes) -> Iterator[tuple[str, str, float | None]]:
    """Name, value in words, and its share of a bar."""
    yield "training examples", format.count(axes.rows), None
    if axes.per_class is not None:
        yield "examples a class (median)", format.count(round(axes.per_class)), None
        yield "smallest class", format.count(axes.smallest_class), None
        yield "largest over smallest", f"{axes.imbalance or 1:.1f}", None
    yield "backbone", axes.backbone, None
    yield "its parameters", format.compact(axes.parameters), None
    shares = {
        "linear head" if axes.modality in WITHOUT_BACKBONE else "frozen probe": axes.probe,
        "random weights": axes.random_init,
        "constant answer": axes.chance,
        "distance": axes.distance,
        "best depth": axes.best_depth,
    }
    for name, share in shares.items():
        if share is not None:
            yield name, f"{share:.3f}", share
    for name, distance in axes.to_source.items():
        yield DISTANCE_NAMES.get(name, name), f"{distance:.3f}", None
    yield "budget", format.seconds(axes.budget_seconds), None


def _bar(share: float) -> str:
    filled = round(_BAR * min(max(share, 0.0), 1.0))
    return _FULL * filled + _EMPTY * (_BAR - filled)


# --------------------------------------------------------------------------------------------------- tables


def _prices(advice: Advice) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("  trial", overflow="fold")
    for name in ("time", "memory", "trained", "stored a task", "latency"):
        table.add_column(name, justify="right", no_wrap=True)
    excluded = {trial.id for trial in advice.excluded}
    for trial, cost in advice.axes.predicted.items():
        table.add_row(Text(f"  {trial}"), *map(Text, _costs(cost)), style="dim" if trial in excluded else "")
    return table


def _costs(cost: Cost) -> tuple[str, ...]:
    return (
        format.seconds(cost.seconds),
        format.size(cost.peak_memory_bytes),
        format.share(cost.trainable_parameters, cost.total_parameters),
        format.size(cost.stored_bytes),
        format.milliseconds(cost.latency_ms),
    )


def _rules(outcomes: tuple[RuleOutcome, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("  set", no_wrap=True)
    table.add_column("what fired", ratio=3, overflow="fold")
    table.add_column("says", ratio=2, overflow="fold")
    table.add_column("regimes", ratio=2, overflow="fold")
    for outcome in outcomes:
        if outcome.fired is None:
            table.add_row(Text(f"  {outcome.rule_set}"), Text("nothing"), style="dim")
        else:
            names = ", ".join(outcome.regimes) or format.ABSENT
            table.add_row(
                Text(f"  {outcome.rule_set}"), Text(outcome.fired), Text(outcome.advice), Text(names)
            )
    return table


def _labels(curve: LabelsCurve) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("  labels", "examples", "with transfer", "without"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in curve.points:
        scores = (
            f"{format.score(found)} [{format.interval(found)}]" if found else format.ABSENT
            for found in (point.transfer, point.without)
        )
        table.add_row(f"{100 * point.share:.0f} %", format.count(point.rows), *map(Text, scores))
    return table


# ----------------------------------------------------------------------------------------- tree and upkeep


def _print_path(advice: Advice, console: Console) -> None:
    """Every question on the path with all its answers, the taken one lit."""
    for step in advice.path:
        console.print(Text(f"  {step.question}"))
        answers = Text("    ")
        for option in step.options:
            is_lit = option == step.answer
            answers.append(f"{_LIT if is_lit else _DARK} {option}", style="bold green" if is_lit else "dim")
            answers.append("   ")
        console.print(answers)
    console.print(Text(f"  → {advice.recommended}", style="bold green"))


def _print_upkeep(advice: Advice, console: Console) -> None:
    circumstances = advice.axes.circumstances
    if circumstances.tasks == 1 and circumstances.retrain == "never":
        return  # of one task that is trained once, the prices above say all
    _title("Upkeep", console)
    for sentence in advice.upkeep:
        console.print(_hanging("·", sentence))
