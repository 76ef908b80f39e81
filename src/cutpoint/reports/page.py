"""Result → the HTML of the report: gathers what the template shows."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from cutpoint.evaluation.findings import gravest_first
from cutpoint.reports import confusion, facts, format
from cutpoint.reports.curves import layer_chart, learning_chart
from cutpoint.reports.evidence import evidence_of
from cutpoint.reports.front import MOST_NAMED, PANELS, below_scale, front_chart
from cutpoint.reports.pictures import Pictures
from cutpoint.reports.stack import stack_of
from cutpoint.types import Comparison, Cost, Finding, Mistake, Result, Trial

_HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>')
_CODE = re.compile(r"`([^`]+)`")
_PICTURE_BYTES = 1_000_000
"""All pictures of mistakes together."""
_MOST_CURVES = 24
_MOST_MISTAKES = 24
_MOST_CLASSES = 40
_MOST_FILES = 200


@dataclass(frozen=True)
class TrialRow:
    """A trial with everything that its table row says."""

    trial: Trial
    label: str
    what: str
    gain: facts.Gain | None
    comparison: Comparison | None
    known: Cost
    is_reference: bool
    ships: bool


@dataclass(frozen=True)
class Chart:
    """An SVG with its title."""

    title: str
    svg: Markup
    detail: str = ""


@dataclass(frozen=True)
class ClassBar:
    """Examples of a class in each split; `width` is a share of the largest class."""

    label: str
    counts: tuple[int, ...]
    widths: tuple[float, ...]


def render(result: Result, model: str | None) -> str:
    """The whole page.

    Args:
        result: What to show.
        model: Path of the saved model for the examples; None where there is none.
    """
    environment = Environment(
        loader=PackageLoader("cutpoint.reports"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    environment.filters["breakable"] = _breakable
    environment.filters["headings"] = _headings
    return environment.get_template("report.html").render(_context(result, model)) + "\n"


def _prose(text: str) -> Markup:
    """A sentence; what stands between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(format.prose(text)))))


def _breakable(name: str) -> Markup:
    """A name that rather breaks behind its backbone than within a word."""
    return Markup(":<wbr>").join(name.split(":"))


def _headings(page: str) -> list[tuple[str, Markup]]:
    """Id and title of every section of a page, for its contents."""
    return [(name, Markup(title)) for name, title in _HEADING.findall(page)]


def _context(result: Result, model: str | None) -> dict[str, Any]:
    reference = facts.reference_of(result)
    rows = {trial.id: _row(result, trial, reference) for trial in result.trials}
    matrix = result.confusion
    winner = facts.winner_of(result)
    return {
        "result": result,
        "verdict": result.verdict,
        "extra_text": _extra_text(result),
        "winner": rows[winner.id] if winner else None,
        "reference_is_probe": reference is not None and facts.is_probe(reference),
        "findings": gravest_first(result.verdict.findings if result.verdict else ()),
        "trial_findings": _trial_findings(result),
        "stack": stack_of(result),
        "any_adapter": any(facts.adapter_of(trial) for trial in result.trials),
        "any_unfinished": any(trial.status != "finished" for trial in facts.scored(result)),
        "only_front_named": len(facts.scored(result)) > MOST_NAMED,
        "any_below": bool(below_scale(result)),
        "fronts": _fronts(result),
        "scored": [rows[trial.id] for trial in facts.scored(result)],
        "not_finished": [rows[trial.id] for trial in facts.not_finished(result)],
        "labels": facts.labels_of(result),
        "layers": _layers(result),
        "curves": _curves(result),
        "matrix": confusion.rows_of(matrix) if matrix and _fits(matrix.labels) else None,
        "pairs": confusion.confused_pairs(matrix) if matrix else [],
        "mistakes": _mistakes(result.mistakes),
        "retained": [rows[trial.id] for trial in facts.scored(result) if trial.retention],
        "bars": _bars(result),
        "hidden_classes": max(0, len(_classes(result)) - _MOST_CLASSES),
        "splits": list(result.data.class_counts),
        "quarantined": result.data.quarantined[:_MOST_FILES],
        "hidden_files": max(0, len(result.data.quarantined) - _MOST_FILES),
        "status_words": facts.STATUS_WORDS,
        "model": model,
        "shell_model": shlex.quote(model) if model else None,
        "model_literal": json.dumps(model, ensure_ascii=False),
        "shell_run": shlex.quote(result.run or "RUN"),
        "format": format,
        **evidence_of(result),
    }


def _row(result: Result, trial: Trial, reference: Trial | None) -> TrialRow:
    return TrialRow(
        trial=trial,
        label=facts.labels_of(result)[trial.id],
        what=facts.trained_in_words(result, trial),
        gain=facts.gain_over(result, trial, reference),
        comparison=facts.comparison_of(result, trial),
        known=facts.known_cost(trial),
        is_reference=reference is not None and trial.id == reference.id,
        ships=trial.id == result.winner,
    )


def _extra_text(result: Result) -> str:
    """What the verdict's text says beyond its three sentences, which are shown on their own."""
    if result.verdict is None:
        return ""
    text = result.verdict.text
    for sentence in (result.verdict.ship, result.verdict.dearer, result.verdict.flip):
        text = text.replace(sentence, "") if sentence else text
    return " ".join(text.split())


def _trial_findings(result: Result) -> list[tuple[str, Finding]]:
    """Findings of single trials with the trial's label; those of the verdict stand on top of the report."""
    labels = facts.labels_of(result)
    general = {
        (finding.code, finding.text) for finding in (result.verdict.findings if result.verdict else ())
    }
    return [
        (labels[trial.id], finding)
        for trial in result.trials
        for finding in gravest_first(trial.findings)
        if trial.id != result.winner or (finding.code, finding.text) not in general
    ]


def _fronts(result: Result) -> list[Chart]:
    charts = []
    for panel in PANELS:
        wide = panel is PANELS[0]
        svg = front_chart(result, panel, 1000 if wide else 520, 430 if wide else 360)
        if svg is not None:
            charts.append(Chart(panel.title, Markup(svg)))
    return charts


def _layers(result: Result) -> list[Chart]:
    winner = facts.winner_of(result)
    charts = []
    for number, (backbone, rows) in enumerate(result.layer_probe.items()):
        if rows:
            cut = winner.cut if winner and winner.backbone == backbone else None
            svg = layer_chart(backbone, rows, cut, result.task.for_heads.metric, number=number)
            charts.append(Chart(backbone, Markup(svg)))
    return charts


def _curves(result: Result) -> list[Chart]:
    labels = facts.labels_of(result)
    # A head that was solved, not trained, has one point and no curve.
    trained = [
        trial for trial in facts.cheapest_first(result.trials) if any(len(c) > 1 for c in trial.curves)
    ]
    return [
        Chart(labels[trial.id], Markup(learning_chart(trial, number)), _fits_in_words(trial))
        for number, trial in enumerate(trained[:_MOST_CURVES])
    ]


def _fits_in_words(trial: Trial) -> str:
    number = len(trial.curves)
    return format.plural(number, "fold") if number > 1 else ""


def _fits(labels: tuple[str, ...]) -> bool:
    return len(labels) <= confusion.MOST_CLASSES


def _mistakes(mistakes: tuple[Mistake, ...]) -> list[tuple[Mistake, str | None]]:
    """Mistakes with their pictures: only embedded ones, and only while there is room for them."""
    pictures = Pictures(_PICTURE_BYTES)
    return [(mistake, pictures.take(mistake.thumbnail)) for mistake in mistakes[:_MOST_MISTAKES]]


def _classes(result: Result) -> list[str]:
    """Every class that has a count, in the task's order first."""
    counted = {label: None for counts in result.data.class_counts.values() for label in counts}
    return [label for label in result.task.labels if label in counted] + [
        label for label in counted if label not in result.task.labels
    ]


def _bars(result: Result) -> list[ClassBar]:
    counts = result.data.class_counts
    largest = max((number for split in counts.values() for number in split.values()), default=0) or 1
    bars = []
    for label in _classes(result)[:_MOST_CLASSES]:
        numbers = tuple(split.get(label, 0) for split in counts.values())
        bars.append(ClassBar(label, numbers, tuple(100 * number / largest for number in numbers)))
    return bars
