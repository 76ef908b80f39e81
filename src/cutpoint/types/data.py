"""What is learned from: the task, inputs of all kinds, and the data set that holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cutpoint.types.preprocessing import SignalPreprocessing, TableColumn
from cutpoint.types.record import Record

Modality = Literal["image", "text", "features", "signal"]
WITHOUT_BACKBONE: tuple[Modality, ...] = ("features", "signal")
"""Data that no pretrained network here fits: what is raced is trained from scratch."""
TaskKind = Literal["binary", "multiclass", "multilabel", "regression", "tagging", "language"]
"""One label an example · labels that are not exclusive · a value · a tag for each word (token classification) ·
the next token (causal language modelling)."""


class Task(Record):
    """What is predicted.

    `labels` holds the class names (tags) in the order of the score columns; empty for regression and language
    modelling. `metric` names a row of `cutpoint.evaluation.metrics`.
    """

    kind: TaskKind
    labels: tuple[str, ...] = ()
    metric: str = "accuracy"

    @property
    def outputs(self) -> int:
        """Width of the head: one column a class (two for binary), one for regression, none where the backbone
        brings its own (language modelling)."""
        return 1 if self.kind == "regression" else len(self.labels)

    @property
    def is_classification(self) -> bool:
        """One label an example."""
        return self.kind in ("binary", "multiclass")

    @property
    def for_heads(self) -> Task:
        """The question that a head answers for one row of features: of a sentence's tags, the tag of one word."""
        if self.kind != "tagging":
            return self
        return Task(kind="multiclass", labels=self.labels, metric="f1_macro")


IGNORED = -100
"""Stands in a row of targets where nothing is to be predicted (as in torch's cross-entropy)."""


class TextPair(NamedTuple):
    """Two texts that are judged together."""

    first: str
    second: str


class Words(tuple[str, ...]):
    """The words of a sentence, each of which gets a tag."""


class Message(NamedTuple):
    """One turn of a chat; the role is "system", "user", "assistant" or "tool"."""

    role: str
    content: str


class Chat(tuple[Message, ...]):
    """A conversation; the assistant's turns are what is learned."""


class Completion(NamedTuple):
    """A prompt and the text that is to follow it, without a chat template."""

    prompt: str
    completion: str


class Quarantined(Record):
    """An input that was set aside, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class ImageFingerprints:
    """What is cheap to know of N images.

    Attributes:
        hashes: uint64 (N,), perceptual: near images differ in few bits (of the discrete cosine transform,
            Zauner 2010).
        thumbnails: uint8 (N, 16, 16), grey.
        sizes: int64 (N, 2), width and height in pixels, upright.
        file_bytes: int64 (N,), 0 where an image is no file.
        borders: float32 (N, 3), mean red, green and blue of the outermost sixteenth, 0…255.
        brightness: float32 (N,), mean grey, 0…255.
    """

    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    file_bytes: NDArray[np.int64]
    borders: NDArray[np.float32]
    brightness: NDArray[np.float32]

    def taken(self, rows: Sequence[int] | NDArray[np.int64]) -> ImageFingerprints:
        """Those of some rows, in their order."""
        return ImageFingerprints(**{name: values[rows] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Dataset:
    """Labelled examples with named splits.

    Attributes:
        source: Where the data came from, as the user named it.
        inputs: N inputs. Images: file paths (str), PIL images or uint8 arrays (H, W, 3). Text: str, `TextPair`,
            `Words`, `Chat` or `Completion`. Features: rows of a 2-D float array. Signals: paths of sounds, or arrays
            (values,) or (channels, values).
        targets: int64 (N,) class numbers | float32 (N, labels) of 0 and 1 | float32 (N,) values | int64
            (N, longest) tag numbers, `IGNORED` behind the last word | for language modelling int64 (N,) zeros:
            there the inputs hold what is to be predicted.
        splits: Row numbers (int64) under "train", perhaps "val", and "test". No row stands in two.
        keys: Content hash of each input: what the activation cache is keyed by.
        names: How each input is called in messages and reports (a relative path, or "row 12").
        groups: A group name for each row, or None; a group never stands on two sides of a split.
        test_origin: "given" by the user, or "held out" by us.
        validation_origin: The same of "val", where there is one.
        columns: Of a raw table: how its columns became the rows of numbers.
        signals: Of sounds and series: how they become rows of numbers.
        given_targets: `targets` before the user's corrections; None where nothing was corrected.
        fingerprints: Of images, taken when they were read; None where they were not, or have served.
    """

    source: str
    modality: Modality
    task: Task
    inputs: Sequence[Any] | NDArray[Any]
    targets: NDArray[Any]
    splits: Mapping[str, NDArray[np.int64]]
    keys: tuple[str, ...]
    names: tuple[str, ...]
    groups: NDArray[Any] | None = None
    quarantined: tuple[Quarantined, ...] = ()
    test_origin: Literal["given", "held out"] = "given"
    validation_origin: Literal["given", "held out"] = "given"
    notes: tuple[str, ...] = field(default=())
    columns: tuple[TableColumn, ...] = ()
    signals: SignalPreprocessing | None = None
    given_targets: NDArray[Any] | None = None
    fingerprints: ImageFingerprints | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def groups_of(self, rows: NDArray[np.int64]) -> NDArray[Any] | None:
        """(rows,) the groups of some rows, where there are groups."""
        return None if self.groups is None else self.groups[rows]

    def split_names(self) -> NDArray[np.str_]:
        """(N,) the split that each row stands in; "" where it stands in none."""
        names = np.full(len(self), "", dtype="<U5")
        for name, rows in self.splits.items():
            names[rows] = name
        return names
