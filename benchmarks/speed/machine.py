"""Where and when a run took place."""

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path
from typing import Any

import psutil


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gigabytes": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
    }


def moment() -> dict[str, Any]:
    """Time of day, and running tasks in the mean of the last minute."""
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        "load": round(os.getloadavg()[0], 2),
    }


class OtherWork:
    """How many cores were busy, since this was made, with what is no child of this process."""

    def __init__(self) -> None:
        self._began, self._all, self._own = time.perf_counter(), _busy_seconds(), _child_seconds()

    def cores(self) -> float:
        """In the mean; once the children have ended."""
        others = _busy_seconds() - self._all - (_child_seconds() - self._own)
        return max(others / (time.perf_counter() - self._began), 0.0)


def _busy_seconds() -> float:
    """Of all cores together, since the machine started; what a host takes away counts as busy."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def _child_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
