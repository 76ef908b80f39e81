"""Progress of one pass over many things, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cutpoint.cli.screen import talk

LINE_EVERY = 10.0
"""Seconds between lines where stderr is no terminal."""

Count = Callable[[int, int], None]
"""Called with (done, total)."""


@contextmanager
def counter(what: str) -> Iterator[Count]:
    """A bar on a terminal, else a line every ten seconds."""
    if not sys.stderr.isatty():
        yield LineCounter().counting(what)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=talk(), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class LineCounter:
    """Says how far a pass is, at most every ten seconds."""

    def __init__(self) -> None:
        self._started = self._said = time.monotonic()

    def counting(self, what: str) -> Count:
        """A counter of that pass."""
        return lambda done, total: self.say(f"{what}: {done:,} of {total:,}")

    def say(self, text: str) -> None:
        """The text with the seconds so far, unless the last line is too recent."""
        now = time.monotonic()
        if now - self._said >= LINE_EVERY:
            self._said = now
            talk().print(f"[{now - self._started:.0f} s] {text}", markup=False)
