"""Texts in memory: lists of str, of pairs, of words, of chats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cutpoint.data.chats import chat_of
from cutpoint.data.collected import Collected
from cutpoint.data.images import looks_like_image
from cutpoint.data.signals import looks_like_sound
from cutpoint.data.tagging import checked, is_bio
from cutpoint.errors import DataError
from cutpoint.types import Chat, Completion, Message, TaskKind, TextPair, Words

Rows = Sequence[Any]


def texts_among(inputs: Any) -> list[Any] | None:
    """The inputs as a list where they are texts or made of texts, whatever holds them; else None.

    Missing values (None, NaN) among texts are blank. Texts that end as paths of images do are images.
    """
    if getattr(inputs, "ndim", None) == 1:
        array = np.asarray(inputs)
        inputs = list(array) if array.dtype.kind in "UO" else []
    if not isinstance(inputs, list | tuple):
        return None
    rows = ["" if _is_missing(item) else item for item in inputs]
    if not all(_is_text(row) for row in rows) or not any(rows):
        return None
    paths = sum(looks_like_image(row) or looks_like_sound(row) for row in rows)
    return None if paths * 2 > sum(bool(row) for row in rows) else [_plain(row) for row in rows]


def read_text_list(rows: Rows, labels: Rows | None, task: str | None) -> Collected:
    """Rows of texts in memory.

    Lists of str are the words of a sentence where the task is "tagging", or the labels are lists of the same
    lengths; else two str are a pair. Chats (also as lists of {"role": …, "content": …}), completions and anything
    with the task "language" need no labels.

    Raises:
        DataError: No labels or another number of them, or inputs of different kinds.
    """
    kind, inputs = _told(rows, labels, task)
    if kind == "language":
        labels = [None] * len(rows)
    if labels is None:
        raise DataError(
            "there are texts in memory but no targets.",
            "Give their labels as targets=…, or task='language' if the texts themselves are to be learned.",
        )
    if len(labels) != len(rows):
        raise DataError(
            f"there are {len(rows):,} inputs but {len(labels):,} targets.", "Give one target an input."
        )
    collected = Collected(
        source="texts in memory",
        modality="text",
        inputs=inputs,
        labels=labels,
        names=[f"row {number}" for number in range(len(rows))],
        kind=kind,
    )
    return checked(collected) if kind == "tagging" else collected


def text_input(row: Any, task: str, name: str) -> Any:
    """One input for a model of texts: lists and dicts as `read_text_list` takes them, anything else as it is.

    Raises:
        DataError: A list or dict that is no text; `name` says where.
    """
    if type(row) not in (list, tuple, dict):
        return row
    if task == "tagging" and all(isinstance(word, str) for word in row):
        return Words(row)
    found = _input_of(row, name)
    return Completion(*found) if task == "language" and isinstance(found, TextPair) else found


def _told(rows: Rows, labels: Rows | None, task: str | None) -> tuple[TaskKind | None, list[Any]]:
    """The task that leaves no doubt, if one does, and the rows as inputs of a data set."""
    if task == "tagging" or (labels is not None and _are_tagged(rows, labels)):
        return "tagging", list(rows)
    inputs = [_input_of(row, f"row {number}") for number, row in enumerate(rows)]
    kinds = sorted({type(item).__name__ for item in inputs})
    if len(kinds) > 1:
        raise DataError(f"the inputs are of different kinds: {', '.join(kinds)}.", "Give inputs of one kind.")
    if task == "language":
        return "language", [Completion(*item) if isinstance(item, TextPair) else item for item in inputs]
    return ("language" if isinstance(inputs[0], Chat | Completion) else None), inputs


def _are_tagged(rows: Rows, labels: Rows) -> bool:
    if any(isinstance(row, Words) for row in rows):
        return True
    if len(rows) != len(labels) or not all(isinstance(item, list | tuple) for item in (*rows, *labels)):
        return False
    if any(len(row) != len(label) for row, label in zip(rows, labels, strict=True)):
        return False
    # Pairs of texts may have two labels each; only tags that look so tell them from sentences of two words.
    return any(len(row) != 2 for row in rows) or is_bio(str(tag) for label in labels for tag in label)


def _input_of(row: Any, name: str) -> Any:
    if isinstance(row, str | TextPair | Chat | Completion):
        return row
    if isinstance(row, dict):
        return chat_of(row.get("messages"), name)
    if all(isinstance(item, str) for item in row) and len(row) == 2:
        return TextPair(*row)
    if any(isinstance(item, str) for item in row):
        raise DataError(
            f"{name} is a list of {len(row)} texts.",
            "Give one text or two (a pair) for each row, or words with as many tags as targets.",
        )
    return chat_of(row, name)


def _is_missing(item: Any) -> bool:
    return item is None or (isinstance(item, float) and np.isnan(item))


def _is_text(row: Any) -> bool:
    if isinstance(row, list | tuple):
        return all(isinstance(item, str | dict | Message) for item in row)
    return isinstance(row, str | dict)


def _plain(row: Any) -> Any:
    """numpy's str as Python's."""
    return str(row) if isinstance(row, str) else row
