"""All that a frozen backbone computes for a data set, each thing once: prepared inputs, pooled features of every
block, and activations at a cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.inputs import prepare_input, prepared_shape, to_inputs
from cutpoint.features.augmentation import augment
from cutpoint.features.cut import Cut, pooled_blocks
from cutpoint.features.store import ActivationCache
from cutpoint.types import Dataset

BATCH_SIZE = 32
_READERS = 2

Rows = NDArray[np.int64]
OnProgress = Callable[[str, int, int], None]
"""Called with (what is computed, rows done, rows in all)."""


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
class Activations:
    """Stored outputs at a cut; several views of each row where they are augmented.

    Attributes:
        cut: Frozen blocks below.
        arrays: One array a view, rows in the bank's order, in the memory layout of the network.
        channels_last: Whether (B, C, H, W) is stored as (B, H, W, C).
    """

    cut: int
    arrays: tuple[NDArray[np.float32], ...]
    channels_last: bool

    def read(self, positions: Rows, epoch: int) -> Tensor:
        """The activations at these positions, of the view that is this epoch's turn."""
        array = self.arrays[epoch % len(self.arrays)]
        batch = torch.from_numpy(np.ascontiguousarray(array[positions]))
        return batch.permute(0, 3, 1, 2) if self.channels_last else batch


class FeatureBank:
    """What one backbone computes for the given rows of a data set.

    Args:
        backbone: The frozen network.
        dataset: Where the inputs come from.
        rows: The rows that are wanted (never the test split before the choice is made).
        cache: Where arrays are kept.
        on_progress: Called while something is computed.
    """

    def __init__(
        self,
        backbone: Backbone,
        dataset: Dataset,
        rows: Rows,
        cache: ActivationCache,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.backbone = backbone
        self.dataset = dataset
        self.rows = np.sort(rows)
        self.cache = cache
        self.on_progress = on_progress or (lambda what, done, total: None)
        self._pooled: PooledFeatures | None = None
        self._prepared: NDArray[Any] | None = None
        self._content = xxhash.xxh3_128_hexdigest("\n".join(dataset.keys[row] for row in self.rows).encode())

    def positions(self, rows: Rows) -> Rows:
        """Where these rows of the data set stand in the bank's arrays."""
        return np.searchsorted(self.rows, rows)

    # ------------------------------------------------------------------------------------- prepared inputs

    def prepared(self, positions: Rows) -> Tensor:
        """Prepared inputs (uint8 images or float32 vectors) at these positions, from the cache if it has them."""
        if self._prepared is None:
            self._prepared = self.cache.read(self._describe("prepared"))
        if self._prepared is not None:
            return torch.from_numpy(np.ascontiguousarray(self._prepared[positions]))
        return torch.from_numpy(np.stack([self._prepare(position) for position in positions]))

    def store_prepared(self) -> bool:
        """Decode every input once into the cache; False where the cache's limit leaves no room."""
        if self._prepared is not None:
            return True
        shape, dtype = prepared_shape(self.backbone.preprocessing)
        shape = (len(self.rows), *shape)
        description = self._describe("prepared")
        self._prepared = self.cache.read(description)
        if self._prepared is None and self.cache.fits(int(np.prod(shape)) * dtype.itemsize):
            parts = (batch.numpy() for batch in self._batches("reading the data"))
            self._prepared = self.cache.write(description, shape, dtype, parts)
        return self._prepared is not None

    def _prepare(self, position: int) -> NDArray[Any]:
        return prepare_input(self.backbone.preprocessing, self.dataset.inputs[int(self.rows[position])])

    # ------------------------------------------------------------------------------------- frozen features

    def pooled(self) -> PooledFeatures:
        """Pooled features of every block, from one forward pass over the rows."""
        if self._pooled is None:
            widths, final = self._pooled_widths()
            description = {**self._describe("pooled"), "weights": self.backbone.reference.digest}
            stored = self.cache.read(description)
            if stored is None:
                shape = (len(self.rows), final + sum(widths))
                parts = self._pooled_parts()
                if self.cache.fits(shape[0] * shape[1] * 4):
                    stored = self.cache.write(description, shape, np.float32, parts)
                else:
                    stored = np.concatenate(list(parts))
            edges = np.cumsum([final, *widths])
            blocks = tuple(stored[:, start:end] for start, end in zip(edges[:-1], edges[1:], strict=True))
            self._pooled = PooledFeatures(stored[:, :final], blocks)
        return self._pooled

    def _pooled_widths(self) -> tuple[list[int], int]:
        with torch.inference_mode():
            inputs = to_inputs(self.backbone.preprocessing, self.prepared(np.arange(1)))
            final, blocks = pooled_blocks(self.backbone.module, self.backbone.blocks, inputs)
        return [block.shape[1] for block in blocks], final.shape[1]

    def _pooled_parts(self) -> Iterator[NDArray[np.float32]]:
        with torch.inference_mode():
            for batch in self._batches("computing features"):
                inputs = to_inputs(self.backbone.preprocessing, batch)
                final, blocks = pooled_blocks(self.backbone.module, self.backbone.blocks, inputs)
                yield torch.cat([final, *blocks], dim=1).numpy()

    def activation_bytes(self, cut: int) -> int:
        """Bytes that one stored view at this cut will take."""
        example, _ = self._example(cut)
        return example.numel() * example.element_size() * len(self.rows)

    def activations(self, cut: int, *, views: int = 0, kind: str = "none", seed: int = 0) -> Activations | None:
        """Outputs of the first `cut` blocks for every row, computed once and read from the cache afterwards.

        Args:
            cut: Frozen blocks, 1 or more.
            views: Augmented views to store; 0 stores the unaugmented one.
            kind: The augmentation of the views.
            seed: Decides the views.

        Returns:
            None where the cache's limit leaves no room: the caller then runs the frozen part every epoch.
        """
        if not self.cache.fits(self.activation_bytes(cut) * max(views, 1)):
            return None
        _, channels_last = self._example(cut)
        numbers = range(views) if views else [None]
        arrays = tuple(self._view(cut, view, kind, seed, channels_last) for view in numbers)
        return Activations(cut, arrays, channels_last)

    def _view(
        self, cut: int, view: int | None, kind: str, seed: int, channels_last: bool
    ) -> NDArray[np.float32]:
        description = {
            **self._describe("activations"),
            "weights": self.backbone.reference.digest,
            "cut": cut,
            "channels_last": channels_last,
            "view": None if view is None else [kind, seed, view],
        }
        stored = self.cache.read(description)
        if stored is None:
            self.store_prepared()
            example, _ = self._example(cut)
            parts = self._activation_parts(cut, view, kind, seed, channels_last)
            shape = (len(self.rows), *_stored_shape(example, channels_last))
            stored = self.cache.write(description, shape, np.float32, parts)
        return stored

    def _activation_parts(
        self, cut: int, view: int | None, kind: str, seed: int, channels_last: bool
    ) -> Iterator[NDArray[np.float32]]:
        split = self.cut(cut)
        start = 0
        with torch.inference_mode():
            for batch in self._batches(f"computing activations after {cut} blocks"):
                if view is not None:
                    batch = augment(batch, kind, seed, view, self.rows[start : start + len(batch)].tolist())
                start += len(batch)
                activation = split.prefix(to_inputs(self.backbone.preprocessing, batch))
                yield (activation.permute(0, 2, 3, 1) if channels_last else activation).numpy()

    def cut(self, frozen_blocks: int) -> Cut:
        """The pretrained backbone cut there."""
        shape, _ = prepared_shape(self.backbone.preprocessing)
        return Cut(self.backbone.module, self.backbone.blocks, frozen_blocks, shape)

    def _example(self, cut: int) -> tuple[Tensor, bool]:
        """One activation, and whether the network hands it on channels-last."""
        with torch.inference_mode():
            inputs = to_inputs(self.backbone.preprocessing, self.prepared(np.arange(min(2, len(self.rows)))))
            activation = self.cut(cut).prefix(inputs)
        channels_last = (
            activation.ndim == 4
            and activation.is_contiguous(memory_format=torch.channels_last)
            and not activation.is_contiguous()
        )
        return activation[:1], channels_last

    # ------------------------------------------------------------------------------------------- reading

    def _batches(self, what: str) -> Iterator[Tensor]:
        """Prepared batches in order; the next ones are read while the network works on this one."""
        starts = range(0, len(self.rows), BATCH_SIZE)

        def read(start: int) -> Tensor:
            return self.prepared(np.arange(start, min(start + BATCH_SIZE, len(self.rows))))

        self.on_progress(what, 0, len(self.rows))
        with ThreadPoolExecutor(_READERS) as readers:
            ahead: list[Future[Tensor]] = [readers.submit(read, start) for start in starts[: _READERS + 1]]
            for number in range(len(starts)):
                batch = ahead.pop(0).result()
                if number + _READERS + 1 < len(starts):
                    ahead.append(readers.submit(read, starts[number + _READERS + 1]))
                yield batch
                self.on_progress(what, min((number + 1) * BATCH_SIZE, len(self.rows)), len(self.rows))

    def _describe(self, what: str) -> dict[str, Any]:
        return {
            "what": what,
            "data": self._content,
            "preprocessing": self.backbone.preprocessing.model_dump(mode="json"),
        }


def _stored_shape(example: Tensor, channels_last: bool) -> tuple[int, ...]:
    shape = example.permute(0, 2, 3, 1).shape if channels_last else example.shape
    return tuple(shape[1:])
