"""Where each example's rows lie in an array that holds the rows of all examples one after another.

Examples of different length (the tokens of a text, its words) are stored like this, without padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Spans:
    """Rows of N examples.

    Attributes:
        counts: (N,) rows of each example.
    """

    counts: Rows

    @property
    def total(self) -> int:
        """Rows of all examples."""
        return int(self.counts.sum())

    @property
    def owners(self) -> Rows:
        """(total,) which example each row belongs to."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def places(self, positions: Rows) -> Rows:
        """Numbers of the rows of these examples, in their order."""
        starts = np.concatenate([[0], np.cumsum(self.counts)])
        return np.concatenate(
            [np.arange(0), *(np.arange(starts[at], starts[at] + self.counts[at]) for at in positions)]
        ).astype(np.int64)

    def pack(self, padded: Tensor, positions: Rows) -> Tensor:
        """(B, longest, …) with the rows of these examples → the rows alone, (rows, …)."""
        return padded[self._mask(positions, padded.shape[1])]

    def pad(self, rows: Tensor, positions: Rows) -> Tensor:
        """The rows of these examples, (rows, …) → (B, longest, …), zeros behind the last of each."""
        longest = int(self.counts[positions].max(initial=0))
        padded = rows.new_zeros(len(positions), longest, *rows.shape[1:])
        padded[self._mask(positions, longest)] = rows
        return padded

    def _mask(self, positions: Rows, longest: int) -> Tensor:
        return torch.arange(longest)[None] < torch.from_numpy(self.counts[positions])[:, None]
