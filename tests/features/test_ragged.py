"""Texts as numbers, end to end: the same texts come out again."""

from __future__ import annotations

import numpy as np

from cutpoint.features.ragged import Ragged


def test_what_goes_in_comes_out() -> None:
    random = np.random.default_rng(0)
    texts = [random.integers(0, 99, (3, length), dtype=np.int32) for length in random.integers(0, 9, 10_000)]
    held = Ragged(iter(texts))
    assert len(held) == len(texts) and held.lengths.tolist() == [text.shape[1] for text in texts]
    assert all(np.array_equal(own, text) for own, text in zip(held, texts, strict=True))
    assert np.array_equal(held[-1], texts[-1]) and held[0].dtype == np.int32
    assert [text.tolist() for text in held[5:8]] == [text.tolist() for text in texts[5:8]]


def test_no_text_at_all() -> None:
    held = Ragged([])
    assert len(held) == 0 and list(held) == [] and held.lengths.shape == (0,)
