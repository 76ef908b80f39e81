"""What a frozen backbone said about every row of a bank, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cutpoint.features.spans import Rows, Spans


@dataclass(frozen=True)
class PooledFeatures:
    """Pooled outputs for the bank's rows, in its order.

    Attributes:
        final: (N, width) what a head sits on; (words of all rows, width) where the readout is words.
        blocks: One (N, width of the block) a block, bottom first; of words likewise.
        spans: Where the words of each row lie; None where each row has one.
    """

    final: NDArray[np.float32]
    blocks: tuple[NDArray[np.float32], ...]
    spans: Spans | None = None

    def read(self, positions: Rows) -> Tensor:
        """Final features of these rows: (B, width), or (B, most words, width)."""
        if self.spans is None:
            return torch.from_numpy(self.final[positions])
        return self.spans.pad(torch.from_numpy(self.final[self.spans.places(positions)]), positions)


@dataclass(frozen=True)
class Layout:
    """How one activation lies in memory.

    Attributes:
        shape: Of one row, as the array holds it.
        channels_last: Whether (channels, height, width) is held as (height, width, channels), which is how
            the network hands it on.
        spans: Where the tokens of each example lie, for texts: they are stored without padding.
    """

    shape: tuple[int, ...]
    channels_last: bool
    spans: Spans | None = None

    @classmethod
    def of(cls, activation: Tensor, spans: Spans | None = None) -> Self:
        """The layout of a batch of activations, (B, …) or (B, tokens, …)."""
        if spans is not None:
            return cls(tuple(activation.shape[2:]), channels_last=False, spans=spans)
        channels_last = (
            activation.ndim == 4
            and activation.is_contiguous(memory_format=torch.channels_last)
            and not activation.is_contiguous()
        )
        held = activation.permute(0, 2, 3, 1) if channels_last else activation
        return cls(tuple(held.shape[1:]), channels_last)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row: of an image, or of a token."""
        return int(np.prod(self.shape)) * np.dtype(np.float32).itemsize

    def to_array(self, activation: Tensor, positions: Rows) -> NDArray[np.float32]:
        """A batch as it is stored.

        Args:
            activation: Batch first.
            positions: Which examples it holds.
        """
        held = activation.permute(0, 2, 3, 1) if self.channels_last else activation
        values = held.float().cpu()
        return (values if self.spans is None else self.spans.pack(values, positions)).numpy()

    def to_tensor(self, stored: NDArray[np.float32], positions: Rows) -> Tensor:
        """Stored rows of these examples as the network handed them on; texts are padded with zeros."""
        batch = torch.from_numpy(np.ascontiguousarray(stored))
        if self.spans is not None:
            return self.spans.pad(batch, positions)
        return batch.permute(0, 3, 1, 2) if self.channels_last else batch


@dataclass(frozen=True)
class Activations:
    """Stored outputs at a cut; several views of each row where they are augmented.

    Attributes:
        cut: Frozen blocks below.
        arrays: One array a view, rows in the bank's order.
        layout: How a row of them lies in memory.
    """

    cut: int
    arrays: tuple[NDArray[np.float32], ...]
    layout: Layout

    def read(self, positions: Rows, epoch: int) -> Tensor:
        """The activations at these positions, of the view that is this epoch's turn."""
        spans = self.layout.spans
        places = positions if spans is None else spans.places(positions)
        return self.layout.to_tensor(self.arrays[epoch % len(self.arrays)][places], positions)
