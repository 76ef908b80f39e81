"""The order of rows."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.training.batches import batches, in_pairs, shuffled, steps_per_epoch


@pytest.mark.parametrize(
    ("rows", "size", "count"), [(32, 16, 2), (33, 16, 2), (34, 16, 3), (5, 16, 1), (1, 16, 1), (17, 1, 17)]
)
def test_every_row_once_and_none_alone(rows: int, size: int, count: int) -> None:
    seen = list(batches(shuffled(np.arange(rows), size, seed=0, epoch=0), size, start=0))
    assert len(seen) == steps_per_epoch(rows, size) == count
    assert sorted(np.concatenate([part for _, part in seen])) == list(range(rows))
    assert size == 1 or rows == 1 or min(len(part) for _, part in seen) > 1


def test_order_follows_from_seed_and_epoch() -> None:
    def order(seed: int, epoch: int, start: int = 0) -> list[int]:
        rows = shuffled(np.arange(40), 8, seed, epoch)
        return [int(row) for _, part in batches(rows, 8, start) for row in part]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) != order(1, 0)
    assert order(0, 3, start=2) == order(0, 3)[16:]


def test_texts_of_like_length_share_a_batch_in_random_order() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 130)
    rows = np.arange(5, 125)

    def waste(order: np.ndarray) -> int:
        parts = [lengths[part] for _, part in batches(order, 8, start=0)]
        return sum(int(part.max() * len(part) - part.sum()) for part in parts)

    sorted_ones = [shuffled(rows, 8, 0, epoch, lengths) for epoch in (0, 1)]
    for order in sorted_ones:
        assert sorted(order) == rows.tolist()
        assert waste(order) < 0.1 * waste(shuffled(rows, 8, 0, 0))
        first = [int(lengths[part].max()) for _, part in batches(order, 8, start=0)]
        assert first != sorted(first) and first != sorted(first, reverse=True)
    assert sorted_ones[0].tolist() != sorted_ones[1].tolist()
    assert sorted_ones[0].tolist() == shuffled(rows, 8, 0, 0, lengths).tolist()


def test_pairs_stand_side_by_side_and_nobody_is_left_out() -> None:
    targets = np.array([0] * 7 + [1] * 4 + [2] + [9] * 20)
    rows = np.arange(12)
    order = in_pairs(rows, targets, seed=0, epoch=0)
    assert sorted(order) == rows.tolist()
    paired = targets[order[:10]].reshape(-1, 2)
    assert (paired[:, 0] == paired[:, 1]).all()
    assert sorted(targets[order[10:]]) == [0, 2]
    assert order.tolist() != in_pairs(rows, targets, seed=0, epoch=1).tolist()
    assert order.tolist() == in_pairs(rows, targets, seed=0, epoch=0).tolist()
