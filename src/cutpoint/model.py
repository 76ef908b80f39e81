"""Model: a backbone, a head, labels and preprocessing. What is trained, saved, loaded and served."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.inputs import use_channels_last
from cutpoint.backbones.tokens import IDS, MARKS, NO_MARK, ROWS, next_tokens
from cutpoint.data.progress import Progress
from cutpoint.data.text_lists import text_input
from cutpoint.errors import DataError, InputWarning
from cutpoint.evaluation.likeness import Look, look, unlike_training
from cutpoint.heads.modules import Head, predict_scores, scores_of
from cutpoint.runtime import in_parts
from cutpoint.types import IGNORED, Chat, Completion, SeenImages, Task, TextPair, Words

BATCH_SIZE = 32
_READERS = 2


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
        adapter: What is injected into the backbone in `network`, if anything.
        description: What the model card says beyond that (scores, data, versions).
        seen: What the training pictures look like; prediction warns of pictures of another make.
    """

    backbone: Backbone
    network: Network
    task: Task
    regime: str
    cut: int
    description: dict[str, Any] = field(default_factory=dict)
    adapter: Adapter | None = None
    seen: SeenImages | None = None

    def __post_init__(self) -> None:
        self.network.eval()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the score columns."""
        return self.task.labels

    def predict(self, inputs: Sequence[Any], *, on_progress: Progress | None = None) -> list[Any]:
        """Labels by name (a list of names for multi-label, a list of tags for the words of a sentence), values, or
        what a language model writes on.

        Args:
            inputs: Paths, PIL images or arrays; texts, `TextPair`s, `Words`, `Chat`s, or what `fit` takes for them;
                for models of plain features, rows (N, width).
            on_progress: Called with (done, total).

        Raises:
            DataError: An input cannot be read, naming it, or one is given in place of a list.
        """
        if self.task.kind == "language":
            return self.generate(inputs, on_progress=on_progress)
        return decide(self.task, self.predict_scores(inputs, on_progress=on_progress))

    def predict_proba(self, inputs: Sequence[Any]) -> NDArray[np.float32]:
        """Probabilities (N, labels), columns in the order of `labels`.

        Raises:
            TypeError: The model predicts no classes.
        """
        if self.task.kind not in ("binary", "multiclass", "multilabel"):
            raise TypeError(f"A model for {self.task.kind} has no class probabilities; use predict.")
        return self.predict_scores(inputs)

    def predict_scores(
        self, inputs: Sequence[Any], *, on_progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """(N, outputs) probabilities or values · (N, most words) tag numbers, -1 behind the last word · for language
        models (N, 3): see `cutpoint.heads.modules.scores_of`."""
        return self._run(inputs, self._scores, on_progress)

    def embed(self, inputs: Sequence[Any], *, on_progress: Progress | None = None) -> NDArray[np.float32]:
        """Pooled features (N, width) under the head; where words are read out, (N, most words, width).

        Raises:
            TypeError: A language model puts out no features.
        """
        if self.task.kind == "language":
            raise TypeError("A language model puts out the next token, no features.")
        return self._run(inputs, self.network.backbone, on_progress)

    def generate(
        self, prompts: Sequence[Any], *, most_tokens: int = 64, on_progress: Progress | None = None
    ) -> list[str]:
        """The likeliest continuation of each prompt, token by token (greedy), up to the end that was trained.

        Args:
            prompts: str, or `Chat`s, whose next assistant turn is written.
            most_tokens: Tokens written at most.
            on_progress: Called with (done, total).

        Raises:
            TypeError: The model is no language model.
            DataError: A prompt without a token, or one that leaves no room to write.
        """
        if self.task.kind != "language":
            raise TypeError(f"A model for {self.task.kind} writes no text; use predict.")
        texts: list[str] = []
        for done, prompt in enumerate(self._taken(prompts), start=1):
            texts.append(self._continue(prompt, most_tokens))
            if on_progress:
                on_progress(done, len(prompts))
        return texts

    def _continue(self, prompt: Any, most_tokens: int) -> str:
        text: Any = self.backbone.inputs
        ids = list(text.encode_prompt(prompt))
        start, limit = len(ids), text.preprocessing.max_length
        if not 0 < start < limit:
            raise DataError(
                f"a prompt of {start:,} tokens cannot be continued; the model takes up to {limit:,} in all.",
                "Give it some text, and leave room for what is to be written.",
            )
        with torch.inference_mode():
            while len(ids) < min(start + most_tokens, limit):
                tokens = torch.zeros(1, ROWS, len(ids), dtype=torch.int64)
                tokens[0, IDS], tokens[0, MARKS] = torch.tensor(ids), NO_MARK
                logits = self.network(tokens.to(self.device))
                ids.append(int(logits[0, -1].argmax()))
                if ids[-1] in text.end_ids:
                    break
        written: str = text.decode(ids[start:])
        return written

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return next(self.network.parameters(), torch.empty(0)).device

    def _taken(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """The inputs, texts as the records that `fit` makes of them."""
        if isinstance(inputs, str | PathLike | TextPair | Words | Chat | Completion):
            raise DataError(
                f"one input ({type(inputs).__name__}) was given in place of a list of inputs.",
                "Write it in brackets: [input].",
            )
        if self.backbone.preprocessing.kind not in ("text", "tfidf"):
            return inputs
        return [text_input(row, self.task.kind, f"row {number}") for number, row in enumerate(inputs)]

    def _scores(self, batch: Tensor) -> Tensor:
        logits = self.network(batch)
        if self.task.kind == "language":
            return scores_of(self.task, logits, next_tokens(batch, IGNORED))
        scores = predict_scores(self.task, logits)
        if self.task.kind == "tagging":
            words = batch[:, MARKS].amax(1) + 1
            behind = torch.arange(scores.shape[1], device=scores.device)[None] >= words[:, None]
            scores = scores.masked_fill(behind, -1.0)
        return scores

    def _run(
        self, inputs: Sequence[Any], function: Callable[[Tensor], Tensor], on_progress: Progress | None
    ) -> NDArray[np.float32]:
        """The function of every input, in the inputs' order; rows of different length are padded with -1."""
        inputs = self._taken(inputs)
        outputs: dict[int, NDArray[np.float32]] = {}
        looks: list[Look] = []

        def run(batch: Tensor) -> NDArray[np.float32]:
            return function(self.backbone.inputs.to_network(batch.to(self.device))).float().cpu().numpy()

        with torch.inference_mode():
            for rows, batch in self._batches(inputs):
                looks += [look(picture) for picture in batch.numpy()] if self.seen else []
                found = [row for _, part in in_parts(run, batch) for row in part]
                outputs.update(zip(rows, found, strict=True))
                if on_progress:
                    on_progress(len(outputs), len(inputs))
        self._warn_of_others(looks)
        if not outputs:
            return np.zeros((0, self.task.outputs), dtype=np.float32)
        longest = max(len(row) for row in outputs.values())
        result = np.full((len(inputs), longest, *outputs[0].shape[1:]), -1.0, dtype=np.float32)
        for row, values in outputs.items():
            result[row, : len(values)] = values
        return result

    def _warn_of_others(self, looks: Sequence[Look]) -> None:
        """Warn of pictures that training has seen nothing like."""
        finding = unlike_training(looks, self.seen) if self.seen else None
        if finding is not None:
            warnings.warn(f"{finding.text} {finding.evidence}. {finding.remedy}", InputWarning, stacklevel=4)

    def _batches(self, inputs: Sequence[Any]) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Numbers of the inputs and prepared batches; the next one is read while the network works on this one."""
        own = self.backbone.inputs
        if own.shape is None:  # texts are read at once, so that those of like length stand together
            prepared = list(own.prepare_all(inputs))
            order = sorted(range(len(inputs)), key=lambda row: prepared[row].shape[-1])
            for chunk in _chunks(order):
                yield chunk, own.collate([prepared[row] for row in chunk])
            return

        def read(chunk: Sequence[int]) -> Tensor:
            return own.collate([own.prepare(inputs[row]) for row in chunk])

        with ThreadPoolExecutor(_READERS) as readers:
            ahead: list[tuple[Sequence[int], Any]] = []
            for chunk in _chunks(range(len(inputs))):
                ahead.append((chunk, readers.submit(read, chunk)))
                if len(ahead) > _READERS:
                    first, batch = ahead.pop(0)
                    yield first, batch.result()
            for chunk, batch in ahead:
                yield chunk, batch.result()


def _chunks(order: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(order), BATCH_SIZE):
        yield order[start : start + BATCH_SIZE]


def decide(task: Task, scores: NDArray[np.float32]) -> list[Any]:
    """Turn scores (N, …) into label names, lists of label names (p ≥ 0.5), lists of tags, or values."""
    if task.kind == "regression":
        return [float(value) for value in scores[:, 0]]
    if task.kind == "multilabel":
        return [[task.labels[i] for i in np.flatnonzero(row >= 0.5)] for row in scores]
    if task.kind == "tagging":
        return [[task.labels[int(tag)] for tag in row if tag >= 0] for row in scores]
    return [task.labels[i] for i in scores.argmax(axis=1)] if len(scores) else []
