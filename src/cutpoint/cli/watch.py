"""Watching a race: live bars on a terminal, lines elsewhere. All on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from cutpoint.cli.counter import LineCounter
from cutpoint.cli.screen import talk
from cutpoint.planning.plan import Plan, PlannedTrial
from cutpoint.planning.watcher import Watcher
from cutpoint.reports import format
from cutpoint.types import Comparison, Screened, Trial

_STATUS_STYLES = {"finished": "", "failed": "red", "interrupted": "yellow"}
_NAME_WIDTH = 24


@contextmanager
def race_watcher() -> Iterator[Watcher]:
    """The watcher that suits stderr."""
    if not sys.stderr.isatty():
        yield LineWatcher()
        return
    with LiveWatcher() as watcher:
        yield watcher


class Timetable:
    """How far the race is: trials done of planned, time spent and left."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._plan: Plan | None = None
        self._ended: set[str] = set()
        self._current: str | None = None
        self._share = 0.0

    def plan(self, plan: Plan) -> None:
        self._plan = plan

    def start(self, planned: PlannedTrial) -> None:
        self._current, self._share = planned.id, 0.0

    def progress(self, share: float) -> None:
        self._share = share

    def end(self, trial: Trial) -> None:
        self._ended.add(trial.id)
        self._current = None

    @property
    def done(self) -> int:
        return len(self._ended)

    @property
    def planned(self) -> int:
        return len(self._plan.trials) if self._plan else 0

    def __str__(self) -> str:
        spent = time.monotonic() - self._started
        if self._plan is None:
            return _clock(spent)
        budget = self._plan.settings.budget_seconds
        left = max(min(budget - spent, self._predicted_left(self._plan)), 0.0)
        return f"{_clock(spent)} of {_clock(budget)}, about {_clock(left)} left"

    def _predicted_left(self, plan: Plan) -> float:
        seconds = 0.0
        for planned in plan.trials:
            if planned.id not in self._ended:
                share = 1 - self._share if planned.id == self._current else 1.0
                seconds += share * (planned.predicted.seconds or 0.0)
        return seconds


class LineWatcher(Watcher):
    """A line for every event, and one every ten seconds in between."""

    def __init__(self) -> None:
        self._console = talk()
        self._lines = LineCounter()
        self._time = Timetable()

    def on_message(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def on_work(self, what: str, done: int, total: int) -> None:
        self._lines.counting(what)(done, total)

    def on_plan(self, plan: Plan) -> None:
        self._time.plan(plan)
        self._console.print(plan_line(plan), markup=False, soft_wrap=True)

    def on_trial_start(self, planned: PlannedTrial) -> None:
        self._time.start(planned)

    def on_trial_progress(self, planned: PlannedTrial, done: float, note: str) -> None:
        self._time.progress(done)
        words = ", ".join(filter(None, [f"{done:.0%}", note]))
        self._lines.say(f"{planned.id}: {words}; {self._time.done} of {self._time.planned} trials done")

    def on_screened(self, screened: Screened) -> None:
        self._console.print(screened_line(screened), style="dim", markup=False, soft_wrap=True)

    def on_trial_end(self, trial: Trial, comparison: Comparison | None) -> None:
        self._time.end(trial)
        self._console.print(trial_line(trial, comparison), soft_wrap=True)


class LiveWatcher(Watcher):
    """Three bars (race, trial, pass over the data) under the lines of what has happened."""

    def __init__(self) -> None:
        self._console: Console = talk()
        self._time = Timetable()
        self._note, self._pass = "", ""
        self._progress = Progress(
            TextColumn("{task.description}", table_column=None),
            BarColumn(bar_width=24),
            _NoteColumn(),
            console=self._console,
            transient=True,
            redirect_stdout=False,
            refresh_per_second=4,
        )
        self._race = self._add("race", self._race_note)
        self._trial = self._add("trial", lambda: self._note)
        self._work = self._add("pass", lambda: self._pass)

    def __enter__(self) -> LiveWatcher:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_message(self, text: str) -> None:
        self._console.print(text, markup=False)

    def on_work(self, what: str, done: int, total: int) -> None:
        self._pass = f"{done:,} of {total:,}"
        self._progress.update(
            self._work, description=_short(what), completed=done, total=total, visible=done < total
        )

    def on_plan(self, plan: Plan) -> None:
        self._time.plan(plan)
        self._console.print(plan_line(plan), markup=False)
        self._progress.update(self._race, total=len(plan.trials))

    def on_trial_start(self, planned: PlannedTrial) -> None:
        self._time.start(planned)
        self._note = ""
        self._progress.update(
            self._trial, description=_short(planned.id), completed=0.0, total=1.0, visible=True
        )

    def on_trial_progress(self, planned: PlannedTrial, done: float, note: str) -> None:
        self._time.progress(done)
        self._note = ", ".join(filter(None, [f"{done:.0%}", note]))
        self._progress.update(self._trial, completed=done)

    def on_screened(self, screened: Screened) -> None:
        self._console.print(screened_line(screened), style="dim", markup=False)

    def on_trial_end(self, trial: Trial, comparison: Comparison | None) -> None:
        self._time.end(trial)
        self._console.print(trial_line(trial, comparison))
        self._progress.update(self._race, completed=self._time.done)
        self._progress.update(self._trial, visible=False)

    def _add(self, name: str, note: Callable[[], str]) -> TaskID:
        return self._progress.add_task(_short(name), total=None, visible=name == "race", note=note)

    def _race_note(self) -> str:
        counted = f"{self._time.done} of {self._time.planned} trials, " if self._time.planned else ""
        return f"{counted}{self._time}"


class _NoteColumn(ProgressColumn):
    """Words that are made when they are drawn, so that clocks go on while nothing happens."""

    max_refresh = 0.25

    def render(self, task: Task) -> Text:
        return Text(task.fields["note"]())


def plan_line(plan: Plan) -> str:
    """What is going to happen, in a sentence."""
    count = format.plural(len(plan.trials), "trial")
    seconds = sum(planned.predicted.seconds or 0.0 for planned in plan.trials)
    return (
        f"Planned {count}, cheapest first, about {format.seconds(seconds)} in all; budget "
        f"{format.seconds(plan.settings.budget_seconds)}. Judged {plan.judged_on}."
    )


def trial_line(trial: Trial, comparison: Comparison | None) -> Text:
    """How a trial ended: name, score with interval, seconds, decision."""
    name = trial.id.ljust(_NAME_WIDTH)
    if trial.validation is None:
        return Text(f"{name} {trial.status}: {trial.reason}", style=_STATUS_STYLES.get(trial.status, "dim"))
    interval = format.interval(trial.validation).removesuffix(" %")
    found = f"{format.score(trial.validation)} [{interval}]".ljust(20)
    seconds = format.seconds(trial.cost.seconds).rjust(7)
    decision = _decision(trial, comparison)
    return Text(f"{name} {found} {seconds}  {decision}", style=_STATUS_STYLES.get(trial.status, "dim"))


def screened_line(screened: Screened) -> str:
    """How a short run went, and what finishing the trial promises."""
    name = screened.trial.ljust(_NAME_WIDTH)
    if screened.score is None or screened.expected is None:
        return f"{name} a short run without a score"
    metric = screened.score.metric
    expected = format.value(screened.expected, metric)
    return f"{name} {format.score(screened.score)} after a short run; {expected} expected at its end"


def _decision(trial: Trial, comparison: Comparison | None) -> str:
    if comparison is None:
        return f"{trial.status}: {trial.reason}" if trial.status == "eliminated" else "leads"
    assert trial.validation is not None
    metric = trial.validation.metric
    gain = format.gain_words(comparison.gain, metric)
    outcome = "leads" if comparison.decision == "replaces" else comparison.decision
    return f"{outcome}: {gain}, P(gain > 0) {format.probability(comparison.p_positive)}"


def _short(name: str) -> str:
    return (name if len(name) <= _NAME_WIDTH else name[: _NAME_WIDTH - 1] + "…").ljust(_NAME_WIDTH)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
