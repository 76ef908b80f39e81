"""Arrays on disk that do not fill the process with what was read of them."""

from __future__ import annotations

import mmap
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

HELD_BYTES = 8 << 20
"""Of one array, read or written rows that stay with the process until their pages are handed back."""
_MAPPED_AROUND = 512 << 10
"""Where one byte is read, Linux maps what lies around it in its file cache: 64 kB, or where files are kept in large
folios half a megabyte and more."""
_ROWS_AT_ONCE = 64
"""Of rows that lie scattered: each may map so much."""


class StoredArray(np.memmap):
    """A memory-mapped array whose pages are handed back after every 8 MiB of rows.

    They stay in the system's file cache, so that reading them again costs little, and give way there when memory is
    asked for. A process therefore holds no more of an array of many rows than of one of few.
    """

    _ledger: list[int]
    _mmap: mmap.mmap | None  # numpy's own; None where memory is not mapped

    def __array_finalize__(self, source: Any) -> None:
        super().__array_finalize__(source)
        self._ledger = getattr(source, "_ledger", None) or [0]

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """What is computed from it is a plain array."""
        plain = np.asarray(array).view(np.ndarray)
        return plain[()] if return_scalar else plain

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, np.ndarray) and index.ndim == 1 and len(index) > _ROWS_AT_ONCE:
            return self._gathered(np.flatnonzero(index) if index.dtype == bool else index)
        return self._read(index)

    def _gathered(self, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Many rows, so many at a time as map no more than is to stay; of rows in order that is a long run."""
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        if len(rows) == 0:
            return found
        is_in_order = bool((rows[1:] >= rows[:-1]).all())
        share = (int(rows[-1] - rows[0]) + 1) * abs(self.strides[0]) // len(rows)
        size = max(_ROWS_AT_ONCE, HELD_BYTES // max(share, 1)) if is_in_order else _ROWS_AT_ONCE
        for start in range(0, len(rows), size):
            some = slice(start, start + size)
            found[some] = self._read(rows[some])
        return found

    def _read(self, index: Any) -> Any:
        found = super().__getitem__(index)
        is_view = isinstance(found, StoredArray) and found._mmap is not None
        if is_view:  # of which nothing was read yet
            return found
        self._count(index, found)
        return found.view(np.ndarray) if isinstance(found, np.ndarray) else found

    def __setitem__(self, index: Any, values: Any) -> None:
        super().__setitem__(index, values)
        self._count(index, values)

    def _count(self, index: Any, rows: Any) -> None:
        """Add what this may have mapped: all between the first and the last row, or a surrounding for each."""
        count, width = (len(rows) if np.ndim(rows) else 1), abs(self.strides[0]) if self.ndim else 0
        is_list = isinstance(index, np.ndarray) and index.dtype != bool and index.size
        span = int(index.max() - index.min() + 1) if is_list else count
        self._ledger[0] += min(span * width, count * (width + _MAPPED_AROUND))
        if self._ledger[0] > HELD_BYTES and self._mmap is not None and sys.platform == "linux":
            self._ledger[0] = 0
            self._mmap.madvise(mmap.MADV_DONTNEED)
