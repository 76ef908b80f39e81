"""The order in which a fit sees its rows; seed and epoch decide it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.training.source import Positions

_BATCHES_SORTED_TOGETHER = 32


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Batches an epoch; a last batch of one joins its neighbour: one example has no batch statistics."""
    alone = rows > batch_size and rows % batch_size == 1
    return math.ceil(rows / batch_size) - int(alone)


def batches(order: Positions, batch_size: int, start: int) -> Iterator[tuple[int, Positions]]:
    """(number, rows) of an epoch's batches from `start` on."""
    count = steps_per_epoch(len(order), batch_size)
    for step in range(start, count):
        end = len(order) if step == count - 1 else (step + 1) * batch_size
        yield step, order[step * batch_size : end]


def shuffled(
    rows: Positions, batch_size: int, seed: int, epoch: int, lengths: NDArray[Any] | None = None
) -> Positions:
    """The rows in random order.

    Args:
        rows: What is shuffled.
        batch_size: How the order will be cut into batches.
        seed: With the epoch, decides the order.
        epoch: Counts from 0.
        lengths: (N,) tokens of every row of the bank. Then each batch holds texts of like length, so that little is
            padded: rows are sorted within a random pool of batches, and the batches shuffled.
    """
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(rows)
    if lengths is None:
        return order
    pool = _BATCHES_SORTED_TOGETHER * batch_size
    pools = [order[start : start + pool] for start in range(0, len(order), pool)]
    ordered = np.concatenate([each[np.argsort(-lengths[each], kind="stable")] for each in pools])
    full = len(ordered) // batch_size
    chunks = ordered[: full * batch_size].reshape(full, batch_size)
    return np.concatenate([chunks[random.permutation(full)].ravel(), ordered[full * batch_size :]])


def in_pairs(rows: Positions, targets: NDArray[Any], seed: int, epoch: int) -> Positions:
    """The rows in random order, two of a class side by side, so that a batch always holds pairs of one class.

    Args:
        rows: What is shuffled.
        targets: (N,) class numbers of every row of the bank.
        seed: With the epoch, decides the order.
        epoch: Counts from 0.
    """
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(rows)
    pairs: list[Positions] = []
    single: list[Positions] = []
    for number in np.unique(targets[rows]):
        own = order[targets[order] == number]
        paired = len(own) // 2 * 2
        pairs.extend(own[:paired].reshape(-1, 2))
        single.append(own[paired:])
    mixed = [pairs[place] for place in random.permutation(len(pairs))]
    return np.concatenate([*mixed, *single])
