"""What is trivial about sounds and series, and which of them are silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.collected import counted, few
from cutpoint.data.images import read_in_order
from cutpoint.data.progress import Progress
from cutpoint.data.signals import open_signal
from cutpoint.types import Dataset, Finding

Trivial = dict[str, NDArray[np.floating]]
LOUDNESS = "loudness"


def trivial_of_signals(sources: Sequence[Any], on_progress: Progress | None = None) -> Trivial:
    """Length, loudness and sampling rate of each signal, one number a row; of series the length in values,
    and no rate."""
    rows = []
    for done, row in enumerate(read_in_order(_glance, sources), start=1):
        rows.append(row)
        if on_progress is not None:
            on_progress(done, len(sources))
    length, loudness, rate = np.array(rows, dtype=np.float64).T
    found = {"length": length, LOUDNESS: loudness}
    return {**found, "sampling rate": rate} if rate.any() else found


def silent(dataset: Dataset, loudness: NDArray[np.floating]) -> list[Finding]:
    """Signals in which nothing moves."""
    rows = np.flatnonzero(loudness <= _FLOOR)
    if not len(rows):
        return []
    return [
        Finding(
            code="silent-signals",
            severity="warning",
            text=f"Nothing is to be heard in {counted(len(rows), 'signal')}: every value is the same, or nearly so.",
            evidence=few([dataset.names[row] for row in rows], 5),
            remedy="Remove them, unless silence is what they are to teach.",
        )
    ]


_FLOOR = -100.0
"""Decibels of full scale (of series, of 1): what is below counts as this."""


def _glance(source: Any) -> tuple[float, float, float]:
    signal = open_signal(source)
    deviation = float(signal.values.std(axis=1, dtype=np.float64).max())
    loudness = 20 * np.log10(max(deviation, 10 ** (_FLOOR / 20)))
    return signal.values.shape[1] / (signal.rate or 1), float(loudness), float(signal.rate or 0)
