"""Model: a backbone, a head, labels and preprocessing. What is trained, saved, loaded and served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.inputs import prepare_input, to_inputs, use_channels_last
from cutpoint.heads.modules import Head, predict_scores
from cutpoint.types import Task

BATCH_SIZE = 32
_READERS = 2

OnProgress = Callable[[int, int], None]
"""Called with (done, total)."""


class Network(nn.Module):
    """A backbone's module under a head: inputs → logits (B, outputs)."""

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone = use_channels_last(backbone)
        self.head = head

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(inputs))
        return logits


@dataclass(eq=False)
class Model:
    """A trained network with everything that it needs to answer about raw inputs.

    Attributes:
        backbone: The pretrained backbone that it was made from; `network.backbone` holds the weights in use.
        network: Backbone and head.
        task: Labels and metric.
        regime: Name of the regime that trained it.
        cut: Blocks that stayed frozen: what the model shares with the pretrained backbone.
        description: What the model card says beyond that (scores, data, versions).
    """

    backbone: Backbone
    network: Network
    task: Task
    regime: str
    cut: int
    description: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.eval()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the score columns."""
        return self.task.labels

    def predict(self, inputs: Sequence[Any], *, on_progress: OnProgress | None = None) -> list[Any]:
        """Labels by name (a list of names for multi-label), or values.

        Args:
            inputs: Paths, PIL images or arrays; for models of plain features, rows (N, width).
            on_progress: Called with (done, total).

        Raises:
            DataError: An input cannot be read, naming it.
        """
        return decide(self.task, self.predict_scores(inputs, on_progress=on_progress))

    def predict_proba(self, inputs: Sequence[Any]) -> NDArray[np.float32]:
        """Probabilities (N, labels), columns in the order of `labels`.

        Raises:
            TypeError: The model predicts values, not classes.
        """
        if self.task.kind == "regression":
            raise TypeError("A regression model has no probabilities; use predict.")
        return self.predict_scores(inputs)

    def predict_scores(
        self, inputs: Sequence[Any], *, on_progress: OnProgress | None = None
    ) -> NDArray[np.float32]:
        """(N, outputs) probabilities or values."""
        return self._run(inputs, lambda x: predict_scores(self.task, self.network(x)), on_progress)

    def embed(self, inputs: Sequence[Any], *, on_progress: OnProgress | None = None) -> NDArray[np.float32]:
        """Pooled features (N, width) under the head."""
        return self._run(inputs, self.network.backbone, on_progress)

    def _run(
        self, inputs: Sequence[Any], function: Callable[[Tensor], Tensor], on_progress: OnProgress | None
    ) -> NDArray[np.float32]:
        device = next(self.network.head.parameters()).device
        outputs, done = [], 0
        with torch.inference_mode():
            for batch in self._batches(inputs):
                outputs.append(
                    function(to_inputs(self.backbone.preprocessing, batch.to(device))).float().cpu()
                )
                done += len(batch)
                if on_progress:
                    on_progress(done, len(inputs))
        if not outputs:
            return np.zeros((0, self.task.outputs), dtype=np.float32)
        return torch.cat(outputs).numpy()

    def _batches(self, inputs: Sequence[Any]) -> Iterator[Tensor]:
        """Prepared batches; the next one is read while the network works on this one."""

        def read(start: int) -> Tensor:
            chunk = [
                prepare_input(self.backbone.preprocessing, x) for x in inputs[start : start + BATCH_SIZE]
            ]
            return torch.from_numpy(np.stack(chunk))

        with ThreadPoolExecutor(_READERS) as readers:
            ahead: list[Any] = []
            for start in range(0, len(inputs), BATCH_SIZE):
                ahead.append(readers.submit(read, start))
                if len(ahead) > _READERS:
                    yield ahead.pop(0).result()
            for batch in ahead:
                yield batch.result()


def decide(task: Task, scores: NDArray[np.float32]) -> list[Any]:
    """Turn scores (N, outputs) into label names, lists of label names (p ≥ 0.5), or values."""
    if task.kind == "regression":
        return [float(value) for value in scores[:, 0]]
    if task.kind == "multilabel":
        return [[task.labels[i] for i in np.flatnonzero(row >= 0.5)] for row in scores]
    return [task.labels[i] for i in scores.argmax(axis=1)] if len(scores) else []
