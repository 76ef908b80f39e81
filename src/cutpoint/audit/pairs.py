"""Which of many rows are alike, without comparing each with each: rows meet in buckets, and only there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Accept = Callable[[Rows, Rows], NDArray[np.bool_]]

HAMMING = 4
"""Bits of 64 in which the perceptual hashes of alike images may differ."""
_BLOCKS = 6
_HASH_BITS = 64
_REACH_OF_EQUALS = 8
_PENDING = 1_000_000
REACH = 32
"""Neighbours in a bucket that a row is compared with: thousands of like images cost a multiple of their number, and
still hang together as a chain."""


@dataclass(frozen=True)
class Pairs:
    """P pairs of alike rows, left below right.

    Attributes:
        left: int64 (P,).
        right: int64 (P,).
        likeness: float64 (P,), 1 where nothing differs.
    """

    left: Rows
    right: Rows
    likeness: NDArray[np.float64]

    def taken(self, kept: NDArray[np.bool_]) -> Pairs:
        """Those that a mask keeps."""
        return Pairs(self.left[kept], self.right[kept], self.likeness[kept])


NO_PAIRS = Pairs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))


def near_hashes(hashes: NDArray[np.uint64]) -> tuple[Rows, Rows]:
    """Pairs of rows whose 64-bit hashes differ in at most 4 bits.

    The bits are parted into 6 blocks. Two hashes that differ in 4 bits agree in at least two whole blocks (pigeonhole),
    so each of the 15 choices of two blocks is a table of buckets (Manku, Jain, Das Sarma 2007). Complete between
    distinct hashes as long as no bucket holds more than 32 of them; in larger ones each is compared with the next
    32. Rows with the same hash are paired with the next 8 such rows, and by the first of them with other hashes.

    Args:
        hashes: uint64 (N,).
    """
    distinct, first = np.unique(hashes, return_index=True)
    near = _near_distinct(distinct)
    same = list(_neighbours(hashes, reach=_REACH_OF_EQUALS))
    left = np.concatenate([first[near[0]], *(pair[0] for pair in same)]).astype(np.int64)
    right = np.concatenate([first[near[1]], *(pair[1] for pair in same)]).astype(np.int64)
    return np.minimum(left, right), np.maximum(left, right)


def _near_distinct(hashes: NDArray[np.uint64]) -> tuple[Rows, Rows]:
    """Pairs among sorted distinct hashes."""
    edges = np.linspace(0, _HASH_BITS, _BLOCKS + 1).astype(int)
    blocks = [
        (hashes >> np.uint64(start)) & np.uint64((1 << int(end - start)) - 1)
        for start, end in pairwise(edges)
    ]
    shift = np.uint64(_HASH_BITS // 2)
    keys = ((first << shift) | second for first, second in combinations(blocks, _BLOCKS - HAMMING))
    return pairs_in_buckets(
        keys, lambda left, right: np.bitwise_count(hashes[left] ^ hashes[right]) <= HAMMING
    )


def near_signatures(signatures: NDArray[np.uint32], band: int = 4) -> tuple[Rows, Rows]:
    """Pairs of rows whose MinHash signatures agree in a whole band: candidates of alike texts.

    With 16 bands of 4, texts that share 80 % of their shingles meet with probability 0.9998, those that share
    30 % with 0.12 (Leskovec, Rajaraman, Ullman 2014, chapter 3).

    Args:
        signatures: uint32 (N, permutations).
        band: Values of a band.
    """
    bands = np.split(signatures, signatures.shape[1] // band, axis=1)
    return pairs_in_buckets((_mixed(values) for values in bands), _accept_all)


def pairs_in_buckets(tables: Iterable[NDArray[np.uint64]], accept: Accept) -> tuple[Rows, Rows]:
    """Distinct accepted pairs (left, right) of rows that share a key in some table.

    Args:
        tables: uint64 (N,) each: a row's key.
        accept: Of two arrays of rows, which pairs are kept.
    """
    found, pending = [np.zeros(0, dtype=np.int64)], 0
    size = 0
    for keys in tables:
        size = len(keys)
        for left, right in _neighbours(keys):
            kept = accept(left, right)
            low, high = np.minimum(left[kept], right[kept]), np.maximum(left[kept], right[kept])
            found.append(low * size + high)
            pending += len(low)
        if pending > max(_PENDING, len(found[0])):  # most pairs meet in several tables
            found, pending = [_distinct(np.concatenate(found))], 0
    codes = _distinct(np.concatenate(found))
    return codes // max(size, 1), codes % max(size, 1)


def families(size: int, left: Rows, right: Rows) -> Rows:
    """Number of each row's family, int64 (size,): rows hang together through any chain of pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def same_keys(keys: Iterable[str]) -> tuple[Rows, Rows]:
    """Pairs that link each row with the first one of the same key."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(key, row), row) for row, key in enumerate(keys)]
    linked = np.array([pair for pair in pairs if pair[0] != pair[1]], dtype=np.int64).reshape(-1, 2)
    return linked[:, 0], linked[:, 1]


def _distinct(codes: Rows) -> Rows:
    """Sorted where they are: numpy's own holds several copies of millions of pairs."""
    codes.sort()
    return codes[np.concatenate([[True], codes[1:] != codes[:-1]])] if len(codes) else codes


def _neighbours(keys: NDArray[np.uint64], reach: int = REACH) -> Iterator[tuple[Rows, Rows]]:
    """Rows with the same key, the first neighbours of all, then the second, up to `reach`."""
    rows = np.argsort(keys, kind="stable").astype(np.int64)
    ordered = keys[rows]
    active = np.arange(len(rows))
    for step in range(1, reach + 1):
        active = active[active < len(rows) - step]
        active = active[ordered[active] == ordered[active + step]]
        if len(active) == 0:
            return
        yield rows[active], rows[active + step]


def _mixed(values: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """One key of a band's values; keys that collide only cost a comparison."""
    key = np.zeros(len(values), dtype=np.uint64)
    for column in values.T:
        key = (key ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key


def _accept_all(left: Rows, right: Rows) -> NDArray[np.bool_]:
    return np.ones(len(left), dtype=bool)
