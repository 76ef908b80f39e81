"""Keep freed activations in the process instead of faulting them in again.

glibc returns every large block to the kernel when it is freed and has the kernel zero it again at the next
allocation. A network's forward pass does that with every activation; on virtual machines it can cost more than
the arithmetic. Three settings stop it, at the price of some memory that stays with the process. They are made only
where a short check, whose answer is kept for the machine, shows that they help. They change speed, never a result.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from cutpoint.runtime import allocator_check
from cutpoint.runtime.cache_folder import default_cache_folder

LEAST_GAIN = 1.25
"""Times as long as a round of the check must take without the settings."""
_MOST_SECONDS = 10.0
_KEPT = Path("machine") / "allocator.json"


@cache
def tune_allocator() -> bool:
    """Apply the settings once a process, where they help; True where they took effect.

    Nothing happens where the C library is not glibc. CUTPOINT_ALLOCATOR=off leaves them out, =on makes them without
    a check.
    """
    asked = os.environ.get("CUTPOINT_ALLOCATOR", "auto")
    if asked == "off" or platform.libc_ver()[0] != "glibc":
        return False
    if asked != "on" and _gain_here() < LEAST_GAIN:
        return False
    return allocator_check.apply_settings()


def _gain_here() -> float:
    """What the check found on this machine, now or earlier; 0 where it cannot run."""
    file = default_cache_folder() / _KEPT
    machine = " ".join((*platform.libc_ver(), platform.release(), platform.machine(), platform.node()))
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(file.read_text(encoding="utf-8"))
        if known["machine"] == machine:
            return float(known["gain"])
    gain = _measured_gain()
    if gain:
        _keep(file, {"machine": machine, "gain": gain})
    return gain


def _measured_gain() -> float:
    """In a process of its own: this one would keep what the check frees."""
    command = [sys.executable, "-I", "-S", str(allocator_check.__file__)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MOST_SECONDS, check=True)
        return float(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0.0


def _keep(file: Path, fact: dict[str, object]) -> None:
    """Write it for the next start; a folder that cannot be written to only costs the check again."""
    draft = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(fact), encoding="utf-8")
        draft.replace(file)
