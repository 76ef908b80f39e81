"""Rows of examples of different length in one array."""

from __future__ import annotations

import numpy as np
import torch

from cutpoint.features.spans import Spans

SPANS = Spans(np.array([2, 0, 3, 1]))


def test_where_the_rows_of_each_example_lie() -> None:
    assert SPANS.total == 6
    assert SPANS.owners.tolist() == [0, 0, 2, 2, 2, 3]
    assert SPANS.places(np.array([3, 0])).tolist() == [5, 0, 1]
    assert SPANS.places(np.array([2, 1])).tolist() == [2, 3, 4]
    assert SPANS.places(np.arange(0)).tolist() == [] and SPANS.places(np.arange(0)).dtype == np.int64


def test_packed_and_padded_again_in_any_order() -> None:
    rows = torch.arange(12.0).reshape(6, 2)
    for positions in (np.arange(4), np.array([2, 0]), np.array([1, 3, 2])):
        own = rows[SPANS.places(positions)]
        padded = SPANS.pad(own, positions)
        assert padded.shape == (len(positions), int(SPANS.counts[positions].max()), 2)
        assert torch.equal(SPANS.pack(padded, positions), own)
        for example, position in zip(padded, positions, strict=True):
            assert not example[SPANS.counts[position] :].any()
    wider = torch.cat([SPANS.pad(rows, np.arange(4)), torch.ones(4, 2, 2)], dim=1)
    assert torch.equal(SPANS.pack(wider, np.arange(4)), rows), "what stands behind the last row is left out"
