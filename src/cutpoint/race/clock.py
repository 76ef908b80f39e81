"""Active time: the seconds that this run has worked, not those in which it was dead."""

from __future__ import annotations

import json
import time
from pathlib import Path

_SAVE_EVERY = 2.0


class ActiveClock:
    """Counts on from what the run folder says; `tick` saves every few seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = _read(path)
        self._started = time.monotonic()
        self._saved = self._started

    @property
    def seconds(self) -> float:
        """Active seconds so far."""
        return self._before + time.monotonic() - self._started

    def tick(self) -> float:
        """Save if it is time to; returns the active seconds."""
        if time.monotonic() - self._saved >= _SAVE_EVERY:
            self.save()
        return self.seconds

    def save(self) -> None:
        self._saved = time.monotonic()
        draft = self._path.with_suffix(".partial")
        draft.write_text(json.dumps({"active_seconds": self.seconds}), encoding="utf-8")
        draft.replace(self._path)


def _read(path: Path) -> float:
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["active_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
