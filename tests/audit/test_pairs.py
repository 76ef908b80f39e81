"""Alike rows are found without comparing all, and in time that grows with their number."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.pairs import HAMMING, families, near_hashes, near_signatures, same_keys


def _flipped(hashes: NDArray[np.uint64], bits: int, random: np.random.Generator) -> NDArray[np.uint64]:
    """The hashes with so many different bits flipped."""
    places = np.argsort(random.random((len(hashes), 64)), axis=1)[:, :bits].astype(np.uint64)
    return hashes ^ np.bitwise_or.reduce(np.uint64(1) << places, axis=1)


def _pairs(left: NDArray[np.int64], right: NDArray[np.int64]) -> set[tuple[int, int]]:
    return set(zip(left.tolist(), right.tolist(), strict=True))


def test_as_comparing_each_with_each() -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 2**64, 300, dtype=np.uint64)
    hashes = np.concatenate([first, *(_flipped(first, bits, random) for bits in (0, 1, 3, 4, 5, 8))])
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    expected = {(int(a), int(b)) for a, b in np.argwhere(np.triu(distance <= HAMMING, 1))}
    found = _pairs(*near_hashes(hashes))
    assert found <= expected
    same = families(len(hashes), *np.array(sorted(expected)).T)
    assert np.array_equal(families(len(hashes), *near_hashes(hashes)), same)
    distinct = np.unique(hashes)
    distance = np.bitwise_count(distinct[:, None] ^ distinct[None, :])
    expected = {(int(a), int(b)) for a, b in np.argwhere(np.triu(distance <= HAMMING, 1))}
    assert _pairs(*near_hashes(distinct)) == expected  # complete among distinct hashes


def test_two_hundred_thousand_hashes_take_seconds() -> None:
    random = np.random.default_rng(1)
    hashes = random.integers(0, 2**64, 200_000, dtype=np.uint64)
    hashes[100_000:101_000] = _flipped(hashes[:1_000], 4, random)
    started = time.monotonic()
    left, right = near_hashes(hashes)
    assert time.monotonic() - started < 10
    assert _pairs(left, right) == {(row, row + 100_000) for row in range(1_000)}


def test_thousands_of_equal_or_near_hashes_stay_linear() -> None:
    random = np.random.default_rng(2)
    equal = np.full(50_000, 7, dtype=np.uint64)
    near = _flipped(np.full(20_000, 2**40, dtype=np.uint64), 2, random)
    others = random.integers(0, 2**64, 30_000, dtype=np.uint64)
    hashes = np.concatenate([equal, near, others])
    started = time.monotonic()
    left, right = near_hashes(hashes)
    assert time.monotonic() - started < 10
    assert len(left) < 20 * len(hashes)
    family = families(len(hashes), left, right)
    assert len(set(family[:50_000])) == 1 and len(set(family[50_000:70_000])) == 1
    assert len(set(family[70_000:])) == 30_000


def test_signatures_meet_in_a_band() -> None:
    random = np.random.default_rng(3)
    signatures = random.integers(0, 2**32, (50_000, 64), dtype=np.uint32)
    likeness = np.array([0.9, 0.8])
    for row, share in enumerate(np.repeat(likeness, 500)):
        agrees = random.random(64) < share
        signatures[25_000 + row] = np.where(agrees, signatures[row], signatures[25_000 + row])
    found = _pairs(*near_signatures(signatures))
    planted = {(row, row + 25_000) for row in range(1_000)}
    assert len(planted & found) >= 998
    assert len(found - planted) < 5


def test_families_hang_together_through_chains() -> None:
    left, right = np.array([0, 1, 4]), np.array([1, 2, 5])
    family = families(6, left, right)
    assert family[0] == family[1] == family[2] != family[3]
    assert family[4] == family[5] != family[0]
    assert _pairs(*same_keys(["a", "b", "a", "c", "a", "b"])) == {(0, 2), (0, 4), (1, 5)}
