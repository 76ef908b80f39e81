"""All that a frozen backbone computes for a data set, each thing once.

Prepared inputs, pooled features of every block, and activations at a cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.digest import tensors_digest
from cutpoint.backbones.inputs import prepare_input, prepared_shape, to_inputs, to_layout, use_channels_last
from cutpoint.backbones.order import example_inputs, inference
from cutpoint.features.activations import Activations, Layout, PooledFeatures, Rows
from cutpoint.features.augmentation import augment
from cutpoint.features.cut import Cut, pooled_blocks
from cutpoint.features.store import ActivationCache
from cutpoint.types import Dataset

BATCH_SIZE = 32
_READERS = 2

OnProgress = Callable[[str, int, int], None]
"""Called with (what is computed, rows done, rows in all)."""
Compute = Callable[[Tensor, Rows], NDArray[np.float32]]
"""A batch of prepared inputs and their rows → what is stored for them."""


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
        self.rows = np.unique(rows)
        self.cache = cache
        self.on_progress = on_progress or (lambda what, done, total: None)
        self._pooled: PooledFeatures | None = None
        self._prepared: NDArray[Any] | None = None
        self._layouts: dict[int, Layout] = {}
        self._network: str | None = None
        self._module = use_channels_last(backbone.module)
        self._device = next((p.device for p in backbone.module.parameters()), torch.device("cpu"))
        self._content = _digest(dataset.keys[row] for row in self.rows)

    def positions(self, rows: Rows) -> Rows:
        """Where these rows of the data set stand in the bank's arrays.

        Raises:
            KeyError: The bank does not hold one of them.
        """
        found = np.searchsorted(self.rows, rows)
        if not np.array_equal(self.rows[np.minimum(found, len(self.rows) - 1)], rows):
            raise KeyError("The bank does not hold all of these rows.")
        return found

    # ------------------------------------------------------------------------------------- prepared inputs

    def prepared(self, positions: Rows) -> Tensor:
        """Prepared inputs (uint8 images or float32 vectors) at these positions, cached or read afresh."""
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
            widths = [part.shape[1] for part in self._pooled_parts(self.prepared(np.arange(1)))]
            stored = self._stored(
                {**self._describe("pooled"), "blocks": [block.name for block in self.backbone.blocks]},
                (len(self.rows), sum(widths)),
                "computing features",
                lambda batch, rows: np.concatenate(self._pooled_parts(batch), axis=1),
            )
            edges = np.cumsum([0, *widths])
            final, *blocks = (stored[:, start:end] for start, end in pairwise(edges))
            self._pooled = PooledFeatures(final, tuple(blocks))
        return self._pooled

    def _pooled_parts(self, batch: Tensor) -> list[NDArray[np.float32]]:
        """Features of the whole network, then of each block."""
        with inference(self._module):
            inputs = to_inputs(self.backbone.preprocessing, batch.to(self._device))
            final, blocks = pooled_blocks(self._module, self.backbone.blocks, inputs)
        return [part.float().cpu().numpy() for part in (final, *blocks)]

    def activation_bytes(self, cut: int) -> int:
        """Bytes that one stored view at this cut will take."""
        return self._layout(cut).row_bytes * len(self.rows)

    def activations(
        self, cut: int, *, views: int = 0, kind: str = "none", seed: int = 0
    ) -> Activations | None:
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
        if views:
            arrays = tuple(self._activations_of_view(cut, view, kind, seed) for view in range(views))
        else:
            arrays = (self._activations_of_view(cut, 0, "none", seed),)
        return Activations(cut, arrays, self._layout(cut))

    def _activations_of_view(self, cut: int, view: int, kind: str, seed: int) -> NDArray[np.float32]:
        split, layout = self._cut(cut), self._layout(cut)

        def compute(batch: Tensor, rows: Rows) -> NDArray[np.float32]:
            batch = augment(batch, kind, seed, view, rows.tolist())
            with inference(self._module):
                inputs = to_inputs(self.backbone.preprocessing, batch.to(self._device))
                return layout.to_array(split.prefix(inputs))

        # An augmented view depends on the numbers of the rows too.
        drawn = None if kind == "none" else [kind, seed, view, _digest(str(row) for row in self.rows)]
        description = {
            **self._describe("activations"),
            "blocks": [block.name for block in self.backbone.blocks[:cut]],
            "channels_last": layout.channels_last,
            "view": drawn,
        }
        self.store_prepared()
        shape = (len(self.rows), *layout.shape)
        return self._stored(description, shape, f"computing activations after {cut} blocks", compute)

    def _layout(self, cut: int) -> Layout:
        if cut not in self._layouts:
            batch = self.prepared(np.arange(min(2, len(self.rows))))
            with inference(self._module):
                inputs = to_inputs(self.backbone.preprocessing, batch.to(self._device))
                self._layouts[cut] = Layout.of(self._cut(cut).prefix(inputs))
        return self._layouts[cut]

    def _cut(self, frozen_blocks: int) -> Cut:
        shape, _ = prepared_shape(self.backbone.preprocessing)
        return Cut(self._module, self.backbone.blocks, frozen_blocks, shape)

    def _stored(
        self, description: dict[str, Any], shape: tuple[int, ...], what: str, compute: Compute
    ) -> NDArray[np.float32]:
        """An array from the cache, else computed batch by batch and cached if it fits."""
        description = {**description, "network": self._network_digest()}
        stored: NDArray[np.float32] | None = self.cache.read(description)
        if stored is not None:
            return stored
        starts = itertools.count(0, BATCH_SIZE)
        parts = (
            compute(batch, self.rows[start : start + len(batch)])
            for batch, start in zip(self._batches(what), starts, strict=False)
        )
        if not self.cache.fits(int(np.prod(shape)) * 4):
            return np.concatenate(list(parts))
        return self.cache.write(description, shape, np.float32, parts)

    def _network_digest(self) -> str:
        """Of the weights and of the answer to noise: equal weights may be put together in another way."""
        if self._network is None:
            shape, _ = prepared_shape(self.backbone.preprocessing)
            noise = to_layout(example_inputs(shape, 1).to(self._device))
            with inference(self._module):
                answer = tensors_digest({"answer": self._module(noise)})
            self._network = _digest([self.backbone.reference.digest, answer])
        return self._network

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


def _digest(words: Iterable[str]) -> str:
    return xxhash.xxh3_128_hexdigest("\n".join(words).encode())
