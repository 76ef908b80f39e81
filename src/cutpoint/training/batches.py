"""The order in which a fit sees its rows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from cutpoint.training.source import Positions


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Batches an epoch; a last batch of one joins its neighbour: one example has no batch statistics."""
    alone = rows > batch_size and rows % batch_size == 1
    return math.ceil(rows / batch_size) - int(alone)


def batches(
    rows: Positions, batch_size: int, seed: int, epoch: int, start: int
) -> Iterator[tuple[int, Positions]]:
    """(number, rows) of an epoch's batches from `start` on; seed and epoch decide the order."""
    order = np.random.default_rng((seed, epoch)).permutation(rows)
    count = steps_per_epoch(len(rows), batch_size)
    for step in range(start, count):
        end = len(order) if step == count - 1 else (step + 1) * batch_size
        yield step, order[step * batch_size : end]
