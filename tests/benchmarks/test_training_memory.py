"""A real fit takes the memory that was predicted before it ran."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this system has no mark to reset")
def test_a_partial_fit_of_photos_takes_what_was_predicted(shared: Path) -> None:
    """The blocks above the fifth of MobileNetV2 on 64 photos, in a process of its own, with the tuned allocator.

    The band is wide enough for another machine's heap; what the fit needs without any hole lies in it, too.
    """
    command = [sys.executable, "-m", "benchmarks.training_memory", "--cells", "images", "--only", "partial@5"]
    environment = {**os.environ, "CUTPOINT_SHARED": str(shared), "CUTPOINT_ALLOCATOR": "on"}
    told = subprocess.run(
        [*command, "--rows", "64"],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    fact = json.loads(told.splitlines()[-1])
    ratio = fact["predicted"] / fact["measured"]
    print(f"predicted {ratio:.2f} of what was measured")
    assert fact["measured"] > 50e6
    assert 0.75 <= ratio <= 1.5
