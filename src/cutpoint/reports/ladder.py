"""The short runs of successive halving as a ladder: one row a trial, one column a rung."""

from __future__ import annotations

from dataclasses import dataclass

from cutpoint.reports import facts, format
from cutpoint.types import Result, Screened


@dataclass(frozen=True)
class LadderRow:
    """A trial's way up; a cell is None where it no longer ran."""

    label: str
    cells: tuple[Screened | None, ...]
    last: Screened


@dataclass(frozen=True)
class Ladder:
    """What the template shows; `shares` are those of the full training, a column each."""

    shares: tuple[float, ...]
    rows: tuple[LadderRow, ...]
    summary: str


def ladder_of(result: Result) -> Ladder | None:
    """The ladder; None where no trial was screened."""
    if not result.screening:
        return None
    rungs = {run.rung: run.share for run in result.screening}
    labels = facts.labels_of(result)
    runs: dict[str, dict[int, Screened]] = {}
    for run in result.screening:
        runs.setdefault(run.trial, {})[run.rung] = run
    rows = [
        LadderRow(
            label=labels.get(trial, trial),
            cells=tuple(by_rung.get(rung) for rung in sorted(rungs)),
            last=by_rung[max(by_rung)],
        )
        for trial, by_rung in runs.items()
    ]
    sign = format.direction(result.task.metric)
    rows.sort(key=lambda row: (not row.last.kept, -row.last.rung, -_goodness(row.last, sign)))
    return Ladder(tuple(rungs[rung] for rung in sorted(rungs)), tuple(rows), _summary(result, rows))


def _goodness(run: Screened, sign: int) -> float:
    reached = run.score.value if run.score else 0.0
    return sign * (reached if run.expected is None else run.expected)


def _summary(result: Result, rows: list[LadderRow]) -> str:
    kept = sum(row.last.kept for row in rows)
    seconds = sum(run.seconds for run in result.screening)
    return (
        f"{format.plural(len(result.screening), 'short run')} of {format.plural(len(rows), 'trial')} took "
        f"{format.seconds(seconds)}; {kept} went on to the full training."
    )
