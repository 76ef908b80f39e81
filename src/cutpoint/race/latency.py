"""How long one prediction takes."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from cutpoint.model import Model

_RUNS = 7


def latency_ms(model: Model, example: Any) -> float:
    """Median milliseconds from the raw input to the scores at batch size 1, after one run to warm up."""
    model.predict_scores([example])
    times = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        model.predict_scores([example])
        times.append(time.perf_counter() - started)
    return 1000 * median(times)
