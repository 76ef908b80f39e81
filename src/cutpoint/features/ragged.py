"""Texts as numbers, end to end in one array: of many short ones a list of arrays would hold as much again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 4096


class Ragged(Sequence[NDArray[Any]]):
    """Arrays (…, n) that differ in their last axis alone.

    Args:
        arrays: Any number of them, read once.

    Attributes:
        lengths: int64 (N,) the last axis of each.
    """

    def __init__(self, arrays: Iterable[NDArray[Any]]) -> None:
        joined, lengths = [], []
        remaining = iter(arrays)
        while some := list(islice(remaining, _AT_ONCE)):
            joined.append(np.concatenate(some, axis=-1))
            lengths += [each.shape[-1] for each in some]
        self._values = np.concatenate(joined, axis=-1) if joined else np.zeros(0)
        self.lengths = np.array(lengths, dtype=np.int64)
        self._edges = np.concatenate([[0], np.cumsum(self.lengths)])

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[Any]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[Any] | list[NDArray[Any]]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        own: NDArray[Any] = self._values[..., self._edges[place] : self._edges[place + 1]]
        return own
