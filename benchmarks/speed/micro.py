"""Small things: how fast the activation cache is written and read, and how long a command takes to start."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from benchmarks.peers.job import Job, Track, contend
from numpy.typing import NDArray

from cutpoint.features.store import ActivationCache

ROW_VALUES = 7840
"""Of the activations after the middle stages of MobileNetV2: 31 kB in float32."""
ROWS_A_BATCH = 32
STARTS = 5
COMMANDS = {
    "start of `cutpoint --help`": ("-c", "from cutpoint.cli.main import run; run()", "--help"),
    "start of `import cutpoint`": ("-c", "import cutpoint"),
    "start of Python alone": ("-c", ""),
}


def run(job: Job, track: Track) -> None:
    """Measure each."""
    rows = job.options["megabytes"] * 1_000_000 // (4 * ROW_VALUES)
    cache = ActivationCache(Path(job.scratch) / "cache")
    megabytes = rows * ROW_VALUES * 4 / 1e6
    began = time.perf_counter()
    stored = cache.write({"what": "micro"}, (rows, ROW_VALUES), np.float32, parts(rows))
    track.measures["cache written, MB/s"] = megabytes / (time.perf_counter() - began)
    began = time.perf_counter()
    for start in range(0, rows, ROWS_A_BATCH):
        np.array(stored[start : start + ROWS_A_BATCH])  # a copy, as a network is given one
    track.measures["cache read in order, MB/s"] = megabytes / (time.perf_counter() - began)
    order = np.random.default_rng(job.seed).permutation(rows)
    began = time.perf_counter()
    for start in range(0, rows, ROWS_A_BATCH):
        np.asarray(stored[order[start : start + ROWS_A_BATCH]])
    track.measures["cache read shuffled, MB/s"] = megabytes / (time.perf_counter() - began)
    for name, command in COMMANDS.items():
        track.measures[f"{name}, s"] = statistics.median(seconds_of(command) for _ in range(STARTS))


def parts(rows: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Batches as a network would put them out, all from one piece of noise."""
    noise = np.random.default_rng(0).standard_normal((ROWS_A_BATCH, ROW_VALUES), dtype=np.float32)
    for start in range(0, rows, ROWS_A_BATCH):
        places = np.arange(start, min(start + ROWS_A_BATCH, rows))
        yield places, noise[: len(places)]


def seconds_of(command: tuple[str, ...]) -> float:
    """Wall-clock time of a fresh interpreter."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    contend(run, ("cutpoint", "numpy"))
