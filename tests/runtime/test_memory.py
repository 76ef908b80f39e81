"""What a process keeps of what it freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import numpy as np
from cutpoint.runtime import allocator_check, hand_back_much

def own_megabytes():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))

assert allocator_check.apply_settings()
before = own_megabytes()
kept, freed = [], []
for _ in range(100):
    freed.append(np.ones(200_000))
    kept.append(np.ones(100))  # holds its place: what lies below cannot be cut off the heap's end
freed.clear()
held = own_megabytes()
hand_back_much()
print(held - before, own_megabytes() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone keeps holes that it can hand back")
def test_holes_of_a_tuned_allocator_are_handed_back() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    held, after = (float(number) for number in done.stdout.split())
    assert held > 140, "the settings did not keep what was freed"
    assert after < 20
