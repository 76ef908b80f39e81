"""Peak memory of a stretch of work."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from typing import Self

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class PeakMemory:
    """Peak resident memory of this process inside the `with` block, in bytes.

    On Linux the kernel's high-water mark is reset on entry; elsewhere the mark of the whole process is given,
    which is an upper bound.
    """

    def __init__(self) -> None:
        self.bytes = 0

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")  # resets VmHWM
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = _high_water_mark()


def _high_water_mark() -> int:
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
