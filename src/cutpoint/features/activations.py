"""What a frozen backbone said about every row of a bank, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class PooledFeatures:
    """Pooled outputs for the bank's rows, in its order.

    Attributes:
        final: (N, width) what a head sits on.
        blocks: One (N, width of the block) a block, bottom first.
    """

    final: NDArray[np.float32]
    blocks: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class Layout:
    """How one activation lies in memory.

    Attributes:
        shape: Of one row, as the array holds it.
        channels_last: Whether (channels, height, width) is held as (height, width, channels), which is how
            the network hands it on.
    """

    shape: tuple[int, ...]
    channels_last: bool

    @classmethod
    def of(cls, activation: Tensor) -> Self:
        """The layout of a batch of activations."""
        channels_last = (
            activation.ndim == 4
            and activation.is_contiguous(memory_format=torch.channels_last)
            and not activation.is_contiguous()
        )
        held = activation.permute(0, 2, 3, 1) if channels_last else activation
        return cls(tuple(held.shape[1:]), channels_last)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape)) * np.dtype(np.float32).itemsize

    def to_array(self, activation: Tensor) -> NDArray[np.float32]:
        """A batch as it is stored."""
        held = activation.permute(0, 2, 3, 1) if self.channels_last else activation
        return held.float().cpu().numpy()

    def to_tensor(self, stored: NDArray[np.float32]) -> Tensor:
        """A stored batch as the network handed it on."""
        batch = torch.from_numpy(np.ascontiguousarray(stored))
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
        return self.layout.to_tensor(self.arrays[epoch % len(self.arrays)][positions])
