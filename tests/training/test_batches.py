"""The order of rows."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.training.batches import batches, steps_per_epoch


@pytest.mark.parametrize(
    ("rows", "size", "count"), [(32, 16, 2), (33, 16, 2), (34, 16, 3), (5, 16, 1), (1, 16, 1), (17, 1, 17)]
)
def test_every_row_once_and_none_alone(rows: int, size: int, count: int) -> None:
    seen = list(batches(np.arange(rows), size, seed=0, epoch=0, start=0))
    assert len(seen) == steps_per_epoch(rows, size) == count
    assert sorted(np.concatenate([part for _, part in seen])) == list(range(rows))
    assert size == 1 or rows == 1 or min(len(part) for _, part in seen) > 1


def test_order_follows_from_seed_and_epoch() -> None:
    def order(seed: int, epoch: int, start: int = 0) -> list[int]:
        return [int(row) for _, part in batches(np.arange(40), 8, seed, epoch, start) for row in part]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) != order(1, 0)
    assert order(0, 3, start=2) == order(0, 3)[16:]
