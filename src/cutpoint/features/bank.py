"""All that a frozen backbone computes for a data set, each thing once.

Prepared inputs, pooled features of every block, and activations at a cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.digest import tensors_digest
from cutpoint.backbones.inputs import use_channels_last
from cutpoint.backbones.order import inference
from cutpoint.backbones.tokens import MARKS, NO_MARK, next_tokens, pad
from cutpoint.engines.names import BATCH_SIZE, EngineChoice, EngineRequest
from cutpoint.engines.torch_engines import open_eager
from cutpoint.engines.work import Work
from cutpoint.features.activations import Activations, Layout, PooledFeatures
from cutpoint.features.augmentation import augment
from cutpoint.features.cut import Cut
from cutpoint.features.frozen_pass import FrozenPass, graph_folder
from cutpoint.features.pooling import PooledProgram
from cutpoint.features.ragged import Ragged
from cutpoint.features.reading import read_ahead
from cutpoint.features.spans import Rows, Spans
from cutpoint.features.store import ActivationCache
from cutpoint.runtime import hand_back_much
from cutpoint.types import IGNORED, Dataset

OnProgress = Callable[[str, int, int], None]
"""Called with (what is computed, rows done, rows in all)."""
Compute = Callable[[Tensor, Rows], NDArray[np.float32]]
"""A batch of prepared inputs and its positions → what is stored for them."""


class FeatureBank:
    """What one backbone computes for the given rows of a data set.

    Args:
        backbone: The frozen network.
        dataset: Where the inputs come from.
        rows: The rows that are wanted (never the test split before the choice is made).
        cache: Where arrays are kept.
        on_progress: Called while something is computed.
        engine: What computes pooled features, and activations at the known cut: an engine, "auto", or what was chosen
            before. Activations at other cuts, and of augmented views, come from the network itself.
        cut: A cut whose activations will be wanted too (1 or more, below the top, valid): they come out of the pass
            that computes the features. Of the engine "half" they would be too coarse to train on.

    Attributes:
        engine: As given; once pooled features were asked for, the choice.
    """

    def __init__(
        self,
        backbone: Backbone,
        dataset: Dataset,
        rows: Rows,
        cache: ActivationCache,
        on_progress: OnProgress | None = None,
        engine: EngineRequest | EngineChoice = "eager",
        cut: int | None = None,
    ) -> None:
        self.engine = engine
        self.cut = cut
        self._tap = cut  # where the program that engines run hands on an activation
        self.backbone = backbone
        self.dataset = dataset
        self.rows = np.unique(rows)
        self.cache = cache
        self.on_progress = on_progress or (lambda what, done, total: None)
        self._pooled: PooledFeatures | None = None
        self.inputs = backbone.inputs
        self._prepared: NDArray[Any] | None = None
        self._texts: Ragged | None = None
        self._layouts: dict[int, Layout] = {}
        self._network: str | None = None
        self._module = use_channels_last(backbone.module)
        self._device = next((p.device for p in backbone.module.parameters()), torch.device("cpu"))
        self._content = _digest(dataset.keys[row] for row in self.rows)

    def of(self, rows: Rows) -> FeatureBank:
        """The same of other rows of the data set: by the same engine, with the same cache."""
        other = FeatureBank(
            self.backbone, self.dataset, rows, self.cache, self.on_progress, engine=self.engine
        )
        other._tap = self._tap  # one converted network serves both
        return other

    def positions(self, rows: Rows) -> Rows:
        """Where these rows of the data set stand in the bank's arrays.

        Raises:
            KeyError: The bank does not hold one of them.
        """
        found = np.searchsorted(self.rows, rows)
        if not np.array_equal(self.rows[np.minimum(found, len(self.rows) - 1)], rows):
            raise KeyError("The bank does not hold all of these rows.")
        return found

    @cached_property
    def targets(self) -> NDArray[Any]:
        """(N, …) what the rows are to be mapped to, in the bank's order: the data's own, or the next tokens.

        Words that were cut off with what is too long are `IGNORED`: nothing is read out for them.
        """
        self._read_texts()
        if self.dataset.task.kind == "language":
            return next_tokens(pad(self._texts or []), IGNORED).numpy()
        targets, words = self.dataset.targets[self.rows], self._words()
        if words is not None:
            targets[np.arange(targets.shape[1]) >= words.counts[:, None]] = IGNORED
        return targets

    @cached_property
    def lengths(self) -> Rows | None:
        """(N,) tokens of each row, for texts; None where all inputs are of one size."""
        if self.inputs.shape is not None:
            return None
        self._read_texts()
        return None if self._texts is None else self._texts.lengths

    # ------------------------------------------------------------------------------------- prepared inputs

    def prepared(self, positions: Rows) -> Tensor:
        """A batch of prepared inputs (images, vectors or token numbers), cached or read afresh."""
        if self._texts is not None:
            return self.inputs.collate([self._texts[position] for position in positions])
        stored = self._stored_images()
        if stored is not None:
            return torch.from_numpy(np.ascontiguousarray(stored[positions]))
        return self.inputs.collate([self._prepare(position) for position in positions])

    def store_prepared(self) -> bool:
        """Read every input once: images into the cache, texts, which are small as numbers, into memory.

        Returns:
            False where the cache's limit leaves no room.
        """
        self._read_texts()
        if self._texts is not None:
            return True
        if self._keeps_what_is_read():
            for _ in self._pass("reading the data", BATCH_SIZE):
                pass
        return self._stored_images() is not None

    def _read_texts(self) -> None:
        """Texts as numbers, into memory; nothing where inputs are of one size, which are kept as they are read."""
        if self._texts is None and self.inputs.shape is None:
            texts = self.inputs.prepare_all(self.dataset.inputs[int(row)] for row in self.rows)
            self._texts = Ragged(self._counted("reading the data", texts))

    def _stored_images(self) -> NDArray[Any] | None:
        """All prepared inputs of one size, where the cache holds them."""
        if self._prepared is None and self.inputs.shape is not None:
            self._prepared = self.cache.read(self._describe("prepared"))
        return self._prepared

    def _keeps_what_is_read(self) -> bool:
        """Whether a pass over all inputs puts them into the cache, so that they are decoded once."""
        if self.inputs.shape is None or self._stored_images() is not None:
            return False
        return self.cache.fits(len(self.rows) * int(np.prod(self.inputs.shape)) * self.inputs.dtype.itemsize)

    @contextmanager
    def _keeping(self) -> Iterator[Callable[[Rows, Tensor], None]]:
        """What takes every batch of a pass, to keep it where that is to be."""
        if not self._keeps_what_is_read():
            yield lambda positions, batch: None
            return
        assert self.inputs.shape is not None
        shape = (len(self.rows), *self.inputs.shape)
        with self.cache.storing(self._describe("prepared"), shape, self.inputs.dtype) as entry:
            yield lambda positions, batch: entry.put(positions, batch.numpy())

    def _prepare(self, position: int) -> NDArray[Any]:
        return self.inputs.prepare(self.dataset.inputs[int(self.rows[position])])

    def _counted(self, what: str, prepared: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """What is prepared of every row, telling how far it is."""
        for position, each in enumerate(prepared):
            if position % BATCH_SIZE == 0:
                self.on_progress(what, position, len(self.rows))
            yield each
        self.on_progress(what, len(self.rows), len(self.rows))

    # ------------------------------------------------------------------------------------- frozen features

    def pooled(self) -> PooledFeatures:
        """Pooled features of every block, from one forward pass over the rows."""
        if self._pooled is None:
            self._read_texts()
            spans = self._words()
            blocks = [block.name for block in self.backbone.blocks]
            description = {**self._describe("pooled"), "blocks": blocks, "network": self._network_digest()}
            # Words differ in number from batch to batch, which a converted network would take for a constant.
            request = self.engine if spans is None else "eager"
            work = self._work()
            widths = [
                part.shape[-1] for part in open_eager(work)(self.prepared(np.arange(1)))[: 1 + len(blocks)]
            ]
            shape = (sum(widths),)
            at_cut = self._activations_with(request, shape, spans)
            run = FrozenPass(work, request, self.cache, description, at_cut)
            description |= run.choice.key

            def compute(batch: Tensor, positions: Rows) -> NDArray[np.float32]:
                return _joined(run.rows(run(batch)[: len(widths)]), positions, spans)

            if at_cut:
                self._compute_both(run, description, {**at_cut[0], **run.choice.key}, shape, spans)
            stored = self._stored(
                description, shape, "computing features", compute, spans, run.choice.batch_size
            )
            self.engine = run.choice
            edges = np.cumsum([0, *widths])
            final, *each = (stored[:, start:end] for start, end in pairwise(edges))
            self._pooled = PooledFeatures(final, tuple(each), spans)
        return self._pooled

    def _activations_with(
        self, request: EngineRequest | EngineChoice, shape: tuple[int, ...], spans: Spans | None
    ) -> list[dict[str, Any]]:
        """The description of what the pass for the pooled features puts out at the bank's cut; none without a cut, or
        where there is no room for both."""
        engine = request.engine if isinstance(request, EngineChoice) else request
        if self.cut is None or engine == "half":
            return []
        layout, rows = self._layout(self.cut), len(self.rows)
        size = 4 * _count(rows, spans) * int(np.prod(shape)) + _count(rows, layout.spans) * layout.row_bytes
        return [self._describe_activations(self.cut, None)] if self.cache.fits(size) else []

    def _compute_both(
        self,
        run: FrozenPass,
        pooled: dict[str, Any],
        activations: dict[str, Any],
        shape: tuple[int, ...],
        spans: Spans | None,
    ) -> None:
        """Put pooled features and the activations at the bank's cut into the cache, from one pass over the rows.

        Where only features are there, another engine computes both again: whatever the cache holds, its activations
        are what is trained on. The network itself need not, which stops at the cut and gives the same.
        """
        assert self.cut is not None
        has_features, has_activations = (self.cache.read(each) is not None for each in (pooled, activations))
        if has_activations or (has_features and run.choice.engine == "eager"):
            return
        layout, rows = self._layout(self.cut), len(self.rows)
        what = f"computing features and activations after {self.cut} blocks"
        with (
            self.cache.storing(pooled, (_count(rows, spans), *shape), np.float32) as features,
            self.cache.storing(
                activations, (_count(rows, layout.spans), *layout.shape), np.float32
            ) as outputs,
        ):
            for positions, batch in self._batches(what, run.choice.batch_size):
                *parts, at_cut = run(batch)
                features.put(_places(positions, spans), _joined(run.rows(parts), positions, spans))
                outputs.put(_places(positions, layout.spans), layout.to_array(at_cut, positions))

    def _words(self) -> Spans | None:
        """Where the words of each row lie; the words cut off with what is too long are none."""
        if self.inputs.shape is not None or self.backbone.preprocessing.readout != "words":  # type: ignore[union-attr]
            return None
        return Spans(
            np.array([text[MARKS].max(initial=NO_MARK) + 1 for text in self._texts or ()], dtype=np.int64)
        )

    def _work(self) -> Work:
        """What an engine is told of the pass."""
        return Work(
            program=PooledProgram(self._module, self.backbone.blocks, self.inputs, self._tap),
            read=self.prepared,
            order=self._order(),
            device=self._device,
            varying=(0,) if self.inputs.shape is not None else (0, 2),
            graphs=graph_folder(self.cache),
            key={
                "network": self._network_digest(),
                "blocks": [block.name for block in self.backbone.blocks],
                "preprocessing": self.backbone.preprocessing.model_dump(mode="json"),
                **({} if self._tap is None else {"cut": self._tap}),
            },
        )

    def to_network(self, batch: Tensor) -> Tensor:
        """A prepared batch as the network takes it, on its device."""
        return self.inputs.to_network(batch.to(self._device, non_blocking=True))

    def activation_bytes(self, cut: int) -> int:
        """Bytes that one stored view at this cut will take."""
        lengths = self.lengths
        return self._layout(cut).row_bytes * (len(self.rows) if lengths is None else int(lengths.sum()))

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

        def compute(batch: Tensor, positions: Rows) -> NDArray[np.float32]:
            batch = augment(batch, kind, seed, view, self.rows[positions].tolist())
            with inference(self._module):
                return layout.to_array(split.prefix(self.to_network(batch)), positions)

        # An augmented view depends on the numbers of the rows too.
        drawn = None if kind == "none" else [kind, seed, view, _digest(str(row) for row in self.rows)]
        description = self._describe_activations(cut, drawn)
        if drawn is None and isinstance(self.engine, EngineChoice):
            with_features: NDArray[np.float32] | None = self.cache.read({**description, **self.engine.key})
            if with_features is not None:
                return with_features
        self._read_texts()
        what = f"computing activations after {cut} blocks"
        return self._stored(description, layout.shape, what, compute, layout.spans)

    def _describe_activations(self, cut: int, view: list[Any] | None) -> dict[str, Any]:
        return {
            **self._describe("activations"),
            "network": self._network_digest(),
            "blocks": [block.name for block in self.backbone.blocks[:cut]],
            "channels_last": self._layout(cut).channels_last,
            "view": view,
        }

    def _layout(self, cut: int) -> Layout:
        if cut not in self._layouts:
            lengths = self.lengths
            batch = self.prepared(np.arange(min(2, len(self.rows))))
            with inference(self._module):
                activation = self._cut(cut).prefix(self.to_network(batch))
            self._layouts[cut] = Layout.of(activation, None if lengths is None else Spans(lengths))
        return self._layouts[cut]

    def _cut(self, frozen_blocks: int) -> Cut:
        return Cut(self._module, self.backbone.blocks, frozen_blocks, self.inputs)

    def _stored(
        self,
        description: dict[str, Any],
        row_shape: tuple[int, ...],
        what: str,
        compute: Compute,
        spans: Spans | None,
        batch_size: int = BATCH_SIZE,
    ) -> NDArray[np.float32]:
        """An array from the cache, else computed batch by batch and cached if it fits."""
        stored: NDArray[np.float32] | None = self.cache.read(description)
        if stored is not None:
            return stored
        shape = (_count(len(self.rows), spans), *row_shape)
        parts = (
            (_places(positions, spans), compute(batch, positions))
            for positions, batch in self._batches(what, batch_size)
        )
        if self.cache.fits(int(np.prod(shape)) * 4):
            return self.cache.write(description, shape, np.float32, parts)
        values = np.empty(shape, dtype=np.float32)
        for places, part in parts:
            values[places] = part
        return values

    def _network_digest(self) -> str:
        """Of the weights and of the answer to noise: equal weights may be put together in another way."""
        if self._network is None:
            noise = self.inputs.noise(1).to(self._device)
            with inference(self._module):
                answer = tensors_digest({"answer": self._module(noise)})
            self._network = _digest([self.backbone.reference.digest, answer])
        return self._network

    # ------------------------------------------------------------------------------------------- reading

    def _order(self) -> Rows:
        """Positions as they are computed: texts the longest first, so that little is padded and too large a batch
        shows at once."""
        if self._texts is None:
            return np.arange(len(self.rows))
        return np.argsort(-self._texts.lengths, kind="stable")

    @property
    def _decodes_first(self) -> bool:
        """Threads that decode would take a CPU's cores from those that multiply."""
        return self._device.type == "cpu"

    def _batches(self, what: str, size: int = BATCH_SIZE) -> Iterator[tuple[Rows, Tensor]]:
        """Positions and their prepared batches, for a network to work on."""
        if self._decodes_first:
            self.store_prepared()
        yield from self._pass(what, size)

    def _pass(self, what: str, size: int) -> Iterator[tuple[Rows, Tensor]]:
        """The same; the next batches are read while whoever takes them works on this one."""
        order, done = self._order(), 0
        hand_back_much()
        self.on_progress(what, 0, len(order))
        with self._keeping() as keep:
            for chunk, batch in read_ahead(order, size, self._read):
                keep(chunk, batch)
                yield chunk, batch
                done += len(chunk)
                self.on_progress(what, done, len(order))

    def _read(self, positions: Rows) -> Tensor:
        """A prepared batch; for a GPU in memory from which it is copied while the GPU works."""
        batch = self.prepared(positions)
        return batch.pin_memory() if self._device.type == "cuda" else batch

    def _describe(self, what: str) -> dict[str, Any]:
        return {
            "what": what,
            "data": self._content,
            "preprocessing": self.backbone.preprocessing.model_dump(mode="json"),
        }


def _joined(parts: Sequence[Tensor], positions: Rows, spans: Spans | None) -> NDArray[np.float32]:
    """What a pass put out, side by side, without the padding behind words."""
    values = torch.cat(list(parts), dim=-1)
    joined: NDArray[np.float32] = (values if spans is None else spans.pack(values, positions)).numpy()
    return joined


def _places(positions: Rows, spans: Spans | None) -> Rows:
    return positions if spans is None else spans.places(positions)


def _count(rows: int, spans: Spans | None) -> int:
    return rows if spans is None else spans.total


def _digest(words: Iterable[str]) -> str:
    return xxhash.xxh3_128_hexdigest("\n".join(words).encode())
