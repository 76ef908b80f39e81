"""Token classification: words, each with a tag; tags in the BIO scheme are checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.collected import Collected, counted, few
from cutpoint.data.columns import Wanted, with_splits_and_groups
from cutpoint.data.table import Table
from cutpoint.data.task import Labelled
from cutpoint.errors import DataError
from cutpoint.types import IGNORED, Task, Words

_WORDS_NAMES = ("tokens", "words")
_TAGS_NAMES = ("tags", "ner_tags", "labels", "pos_tags", "chunk_tags")

OUTSIDE = "O"
"""The tag of words that belong to no entity."""
_BIO = re.compile(r"[BI]-.+", re.DOTALL)


def tagged_columns(table: Table, wanted: Wanted) -> tuple[str, str] | None:
    """The columns that hold lists of words and of tags, named or called as usual; None where there are none.

    Raises:
        DataError: There are several columns of tags.
    """
    words = words_column(table, wanted)
    names = (wanted.target,) if wanted.target else _called(table, _TAGS_NAMES)
    tags = [name for name in names if name != words and _holds_lists(table.columns[name])]
    if words is None or not tags:
        return None
    if len(tags) > 1:
        raise DataError(
            f"the column of tags of {table.source} cannot be told: {few(tags)}.",
            "Name one by --target-column.",
        )
    return words, tags[0]


def words_column(table: Table, wanted: Wanted) -> str | None:
    """The column that holds lists of words, named or called as usual; None where there is none, or several."""
    names = wanted.inputs or _called(table, _WORDS_NAMES)
    found = [name for name in names if _holds_lists(table.columns[name])]
    return found[0] if len(found) == 1 else None


def read_tagged(table: Table, wanted: Wanted, words: str, tags: str) -> Collected:
    """Rows of words (`Words`) with a tag for each.

    Raises:
        DataError: Cells that are no lists, or another number of tags than of words.
    """
    collected = Collected(
        source=table.source,
        modality="text",
        inputs=table.columns[words],
        labels=table.columns[tags],
        names=table.names,
        notes=(f"words are in the column “{words}”, tags in “{tags}”",),
        kind="tagging",
    )
    return with_splits_and_groups(checked(collected), table, wanted, (words, tags))


def checked(collected: Collected) -> Collected:
    """Lists of words and tags as `Words` and lists of str, with a note on faults of the BIO scheme.

    Raises:
        DataError: What is no list, or lists of different lengths.
    """
    inputs = [Words(_words(cell, collected, row)) for row, cell in enumerate(collected.inputs)]
    tags = [_tags(cell, collected, row) for row, cell in enumerate(collected.labels)]
    wrong = [row for row in range(len(inputs)) if len(inputs[row]) != len(tags[row])]
    if wrong:
        first = wrong[0]
        raise DataError(
            f"{collected.names[first]} of {collected.source} has {len(inputs[first])} words but "
            f"{len(tags[first])} tags; rows like that: {len(wrong):,}.",
            "Give each word one tag.",
        )
    notes = (*collected.notes, *_notes(tags, collected.names))
    return replace(collected, inputs=inputs, labels=tags, notes=notes)


def tag_targets(tags: Sequence[Sequence[str]], metric: str | None = None) -> Labelled:
    """The task of rows of tags, and its targets.

    Labels are "O" first, then the other tags, sorted. The metric is "entity_f1" where the tags are BIO, else
    "token_accuracy".

    Raises:
        DataError: All words have the same tag, or there are none.
    """
    found = {tag for row in tags for tag in row}
    if len(found) < 2:
        raise DataError(
            f"all words have the tag “{next(iter(found), OUTSIDE)}”; there is nothing to tell apart.",
            "Add examples of other tags, or name the column of tags by --target-column.",
        )
    labels = tuple(sorted(found, key=lambda tag: (tag != OUTSIDE, tag)))
    usual = "entity_f1" if is_bio(labels) else "token_accuracy"
    task = Task(kind="tagging", labels=labels, metric=metric or usual)
    return Labelled(task, encoded_tags(tags, task))


def encoded_tags(tags: Sequence[Sequence[str]], task: Task) -> NDArray[np.int64]:
    """int64 (N, longest): the number of each tag in the task, `IGNORED` behind the last.

    Raises:
        DataError: Tags that the task does not have.
    """
    number = {label: index for index, label in enumerate(task.labels)}
    unknown = sorted({tag for row in tags for tag in row} - set(number))
    if unknown:
        raise DataError(
            f"the data have tags that the model does not know: {few(unknown)}.",
            f"The model knows {few(list(task.labels))}.",
        )
    targets = np.full((len(tags), max(map(len, tags), default=0)), IGNORED, dtype=np.int64)
    for row, own in enumerate(tags):
        targets[row, : len(own)] = [number[tag] for tag in own]
    return targets


def is_bio(labels: Iterable[str]) -> bool:
    """Whether the tags are "O", "B-X" and "I-X" for some kinds X of entities (Ramshaw and Marcus, 1995)."""
    entities = [label for label in labels if label != OUTSIDE]
    return bool(entities) and all(_BIO.fullmatch(label) for label in entities)


def stray_insides(tags: Sequence[str]) -> int:
    """How many tags I-X follow neither B-X nor I-X."""
    before = (OUTSIDE, *tags)
    return sum(tag.startswith("I-") and last[2:] != tag[2:] for last, tag in zip(before, tags, strict=False))


def _notes(tags: Sequence[Sequence[str]], names: Sequence[str]) -> list[str]:
    if not is_bio({tag for row in tags for tag in row}):
        return ["the tags are not BIO (B-X, I-X and O), so words are judged one by one, not whole entities"]
    rows = [row for row, own in enumerate(tags) if stray_insides(own)]
    if not rows:
        return []
    count = sum(stray_insides(tags[row]) for row in rows)
    return [
        f"tags I-X that follow neither B-X nor I-X: {count:,} in {counted(len(rows), 'row')} "
        f"({few([names[row] for row in rows])}); each is read as the beginning of an entity"
    ]


def _words(cell: Any, collected: Collected, row: int) -> list[str]:
    words = _list_of(cell, "words", collected, row)
    if not all(isinstance(word, str) for word in words):
        raise DataError(
            f"{collected.names[row]} of {collected.source} has words that are no texts.",
            "Write them as texts.",
        )
    return words


def _tags(cell: Any, collected: Collected, row: int) -> list[str]:
    tags = _list_of(cell, "tags", collected, row)
    if not all(isinstance(tag, str | int) and tag != "" for tag in tags):
        raise DataError(
            f"{collected.names[row]} of {collected.source} has a word without a tag.",
            f"Give each word a tag, such as “{OUTSIDE}” for words outside of any entity.",
        )
    return [str(tag) for tag in tags]


def _list_of(cell: Any, what: str, collected: Collected, row: int) -> list[Any]:
    if cell is None:
        return []
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if not isinstance(cell, list | tuple):
        raise DataError(
            f"{collected.names[row]} of {collected.source} holds {type(cell).__name__} where a list of {what} is "
            "to be.",
            "Give each row a list of words and a list of as many tags.",
        )
    return list(cell)


def _called(table: Table, wishes: Sequence[str]) -> list[str]:
    return [name for name in table.columns if name.strip().lower() in wishes]


def _holds_lists(cells: Sequence[Any]) -> bool:
    """Whether the first cell that is not blank is a list of texts or numbers."""
    first = next((cell for cell in cells if cell), None)
    return isinstance(first, list) and isinstance(first[0], str | int)
