"""What the readers (of folders, tables, arrays, lists) hand to the loader: rows as given, nothing checked yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cutpoint.types import ImageFingerprints, Modality, SignalPreprocessing, TableColumn, TaskKind


@dataclass(frozen=True)
class Collected:
    """Rows before inspection; every sequence has one entry a row.

    Attributes:
        source: The data as the user named them.
        modality: What the inputs are.
        inputs: File paths (str), PIL images, uint8 arrays, arrays of series, or rows of a 2-D float array; None
            where a table leaves the path blank. Text: as in `Dataset.inputs`, blank where a table is.
        labels: Raw labels: text, numbers, or lists of labels; a list of tags; None for language modelling.
        names: How each row is called in messages.
        splits: "train", "val" or "test" for each row, or None where the data come without splits.
        groups: A group name for each row, where the reader was given them.
        labels_are_classes: True where labels are folder names, which are classes whatever they look like.
        kind: "tagging" or "language" where the inputs leave no other task, else None.
        notes: What the reader ignored or assumed.
        columns: Of a raw table whose training rows are not known yet: what the places of a row mean.
        signals: How sounds and series are to be read, once they were inspected.
        fingerprints: Of images, once they were inspected.
    """

    source: str
    modality: Modality
    inputs: Sequence[Any]
    labels: Sequence[Any]
    names: Sequence[str]
    splits: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    labels_are_classes: bool = False
    kind: TaskKind | None = None
    notes: tuple[str, ...] = ()
    columns: tuple[TableColumn, ...] = ()
    signals: SignalPreprocessing | None = None
    fingerprints: ImageFingerprints | None = None

    def take(self, rows: Sequence[int]) -> Collected:
        """The same with only these rows, in this order."""
        return replace(
            self,
            inputs=[self.inputs[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            names=[self.names[row] for row in rows],
            splits=None if self.splits is None else [self.splits[row] for row in rows],
            groups=None if self.groups is None else [self.groups[row] for row in rows],
            fingerprints=None if self.fingerprints is None else self.fingerprints.taken(rows),
        )


def few(items: Sequence[Any], limit: int = 5) -> str:
    """The first items in words, with the number of those left out."""
    shown = ", ".join(str(item) for item in items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit:,} more"


def counted(number: int, noun: str) -> str:
    """The number with its noun: "1 group", "1,200 groups"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


SPLITS = ("train", "val", "test")


def split_name(text: str) -> str | None:
    """The split that a folder or a cell names ("Validation" is "val"), or None."""
    return _SPLIT_NAMES.get(text.strip().lower())


_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
