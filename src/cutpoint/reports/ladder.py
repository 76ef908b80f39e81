"""The short runs and early looks of the race as a ladder: one row a trial, one column a look."""

from __future__ import annotations

from dataclasses import dataclass

from cutpoint.reports import facts, format
from cutpoint.types import Result, Screened


@dataclass(frozen=True)
class LadderRow:
    """A trial's way up; a cell is None where it was not looked at, or no longer ran."""

    label: str
    cells: tuple[Screened | None, ...]
    last: Screened


@dataclass(frozen=True)
class Ladder:
    """What the template shows; a column each: rung, and share of the full training in per cent."""

    looks: tuple[tuple[int, int], ...]
    rows: tuple[LadderRow, ...]
    summary: str


def ladder_of(result: Result) -> Ladder | None:
    """The ladder; None where no trial was screened."""
    if not result.screening:
        return None
    labels = facts.labels_of(result)
    runs: dict[str, dict[tuple[int, int], Screened]] = {}
    for run in result.screening:
        runs.setdefault(run.trial, {})[_look(run)] = run
    looks = tuple(sorted({look for by_look in runs.values() for look in by_look}))
    rows = [
        LadderRow(
            label=labels.get(trial, trial),
            cells=tuple(by_look.get(look) for look in looks),
            last=by_look[max(by_look)],
        )
        for trial, by_look in runs.items()
    ]
    sign = format.direction(result.task.metric)
    rows.sort(
        key=lambda row: (not row.last.kept, *(-step for step in _look(row.last)), -_goodness(row.last, sign))
    )
    return Ladder(looks, tuple(rows), _summary(result, rows))


def _look(run: Screened) -> tuple[int, int]:
    return run.rung, round(100 * run.share)


def _goodness(run: Screened, sign: int) -> float:
    reached = run.score.value if run.score else 0.0
    return sign * (reached if run.expected is None else run.expected)


def _summary(result: Result, rows: list[LadderRow]) -> str:
    kept = sum(row.last.kept for row in rows)
    seconds = sum(run.seconds for run in result.screening)
    spent = f", the short runs in {format.seconds(seconds)}" if seconds else ""
    return (
        f"{format.plural(len(rows), 'trial')} {_were(len(rows))} looked at "
        f"{format.plural(len(result.screening), 'time')} before training to the end{spent}; {kept} {_were(kept)} "
        "let finish."
    )


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
