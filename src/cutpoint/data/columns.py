"""Which column of a table is what, where the user did not say it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cutpoint.data.collected import Collected, few, split_name
from cutpoint.data.images import looks_like_image
from cutpoint.data.signals import looks_like_sound
from cutpoint.data.table import Table
from cutpoint.errors import DataError

_PATH_NAMES = (
    *("path", "image_path", "filepath", "file_path", "image", "file", "filename", "file_name"),
    *("image_file", "img", "img_path", "image_name"),
    *("audio", "audio_path", "audio_file", "sound", "wav"),
)
TEXT_NAMES = (
    *("text", "sentence", "content", "review", "review_text", "document", "utterance", "query", "message"),
    *("comment", "tweet", "abstract", "article", "body", "description", "question", "title"),
)
_PAIR_NAMES = (
    *(("text_a", "text_b"), ("text1", "text2"), ("text_1", "text_2"), ("sentence_a", "sentence_b")),
    *(("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("premise", "hypothesis")),
    *(("question1", "question2"), ("question", "answer"), ("question", "sentence"), ("query", "passage")),
    *(("query", "document"),),
)
TARGET_NAMES = ("label", "labels", "class", "class_name", "target", "targets", "category", "tags", "y")
_SPLIT_COLUMN = "split"

# Enough rows to tell a column of paths from one of text.
_ROWS_LOOKED_AT = 50


@dataclass(frozen=True)
class Wanted:
    """Columns that the user named, all of which the table has.

    Attributes:
        inputs: One column, two for pairs of texts, more for those of a raw table, none where it is to be inferred.
        target: The column of labels.
        group: The column of groups; a text that is no column stays with whoever reads names.
    """

    inputs: tuple[str, ...] = ()
    target: str | None = None
    group: str | None = None

    @property
    def taken(self) -> tuple[str, ...]:
        """All that have a meaning already."""
        return (*self.inputs, *(name for name in (self.target, self.group) if name))


def wanted_columns(table: Table, inputs: str | None, target: str | None, group: str | None) -> Wanted:
    """Check the names of columns as the user gave them.

    Args:
        table: Where they are.
        inputs: One name, or several with commas between them.
        target: A name.
        group: A name, or any other text.

    Raises:
        DataError: The table has no such column, or one is both input and target.
    """
    names: tuple[str, ...] = () if inputs is None else (inputs,)
    if inputs is not None and inputs not in table.columns:
        names = tuple(name.strip() for name in inputs.split(","))
    for name in (*names, *((target,) if target else ())):
        if name not in table.columns:
            raise DataError(
                f"{table.source} has no column “{name}”.", f"Its columns are {few(list(table.columns), 20)}."
            )
    if target in names:
        raise DataError(
            f"“{target}” is both the input and the target column.",
            f"Columns of {table.source}: {few(list(table.columns))}.",
        )
    return Wanted(names, target, group if group in table.columns else None)


def path_column(table: Table, wanted: Wanted) -> str | None:
    """The column whose cells are paths of images or sounds, by their endings; the usual names are looked at first."""
    if len(wanted.inputs) > 1:
        return None
    names = wanted.inputs or [*_usual(table, _PATH_NAMES, wanted.taken), *_left(table, wanted.taken)]
    return next((name for name in names if _hold_paths(table.columns[name])), None)


def path_column_by_name(table: Table, wanted: Wanted) -> str | None:
    """A column of texts that is called as columns of paths are, though its cells have other endings."""
    usual = _usual(table, _PATH_NAMES, ())
    found = [name for name in usual if name in wanted.inputs or name not in wanted.taken]
    return found[0] if found and isinstance(table.columns[found[0]][0], str) else None


def text_columns(table: Table, wanted: Wanted) -> tuple[str, ...]:
    """The column of texts, or two of pairs: named, or called as usual; else the only one that holds sentences.

    Empty where none can be told.
    """
    if wanted.inputs:
        return wanted.inputs
    for pair in _PAIR_NAMES:
        found = [name for wish in pair for name in _usual(table, (wish,), wanted.taken)[:1]]
        if len(found) == 2:
            return tuple(found)
    usual = _usual(table, TEXT_NAMES, wanted.taken)
    if usual:
        return (usual[0],)
    taken = {*wanted.taken, *_usual(table, (*TARGET_NAMES, _SPLIT_COLUMN), ())}
    sentences = [name for name in _left(table, taken) if _hold_sentences(table.columns[name])]
    return (sentences[0],) if len(sentences) == 1 else ()


def target_column(table: Table, wanted: Wanted, inputs: Sequence[str]) -> str:
    """The column of labels: named, called as usual, or the only one left.

    Raises:
        DataError: It cannot be told.
    """
    if wanted.target is not None:
        return wanted.target
    left = _left(table, (*inputs, *wanted.taken, *_split_columns(table, (*inputs, *wanted.taken))))
    usual = [name for name in left if name.strip().lower() in TARGET_NAMES]
    if not left:
        raise DataError(
            f"{table.source} has no column of labels beside {few(inputs)}.",
            "Add one. A language model needs none: --task language.",
        )
    if len(usual) != 1 and len(left) != 1:
        raise DataError(
            f"the label column of {table.source} cannot be told.",
            f"Name one by --target-column; the columns are {few(list(table.columns), 20)}. For a language model: "
            "--task language --input-column PROMPT,COMPLETION.",
        )
    return usual[0] if len(usual) == 1 else left[0]


def with_splits_and_groups(
    collected: Collected, table: Table, wanted: Wanted, used: Sequence[str]
) -> Collected:
    """The rows with what file names, a column called "split" and the group column say of them, and a note on columns
    that say nothing.

    Args:
        collected: Rows of the table, in its order.
        table: Where they come from.
        wanted: Names the group column.
        used: Columns that are inputs or targets, whatever they are called.

    Raises:
        DataError: A cell that names no split, or a blank group.
    """
    splits = table.splits
    columns = _split_columns(table, (*used, *wanted.taken))
    if splits is None and columns:
        splits = _splits(table.columns[columns[0]], table)
    groups = None if wanted.group is None else _groups(table, wanted.group)
    unused = _left(table, (*used, *wanted.taken, *columns))
    notes = [*collected.notes, *([f"columns that are not used: {few(unused)}"] if unused else [])]
    return replace(collected, splits=splits, groups=groups, notes=tuple(notes))


def left_columns(table: Table, wanted: Wanted) -> list[str]:
    """Columns that nothing is known of: neither named by the user, nor called as one of splits."""
    return _left(table, (*wanted.taken, *_split_columns(table, wanted.taken)))


def _left(table: Table, taken: Iterable[str]) -> list[str]:
    taken = set(taken)
    return [name for name in table.columns if name not in taken]


def _usual(table: Table, wishes: Sequence[str], taken: Iterable[str]) -> list[str]:
    """Columns with one of the wished names, in the order of the wishes."""
    found = [name for name in _left(table, taken) if name.strip().lower() in wishes]
    return sorted(found, key=lambda name: wishes.index(name.strip().lower()))


def _hold_paths(cells: Sequence[Any]) -> bool:
    values = [value for value in cells[:_ROWS_LOOKED_AT] if value]
    # Addresses of pictures often stand beside a text; nothing is fetched from them.
    found = [value for value in values if looks_like_image(value) or looks_like_sound(value)]
    return sum("://" not in value for value in found) * 2 > len(values)


def _hold_sentences(cells: Sequence[Any]) -> bool:
    values = [value for value in cells[:_ROWS_LOOKED_AT] if value]
    return sum(isinstance(value, str) and " " in value.strip() for value in values) * 2 > len(values)


def _split_columns(table: Table, taken: Iterable[str]) -> list[str]:
    return _usual(table, (_SPLIT_COLUMN,), taken)


def _splits(cells: Sequence[Any], table: Table) -> list[str]:
    splits = [split_name(str(cell)) for cell in cells]
    unknown = sorted({str(cell) for cell, split in zip(cells, splits, strict=True) if split is None})
    if unknown:
        raise DataError(
            f"the column “{_SPLIT_COLUMN}” of {table.source} holds {few(unknown)}.",
            "Write train, val or test in every row, or rename the column so that a test part is held out.",
        )
    return [split for split in splits if split]


def _groups(table: Table, column: str) -> list[str]:
    cells = table.columns[column]
    blank = [table.names[row] for row, cell in enumerate(cells) if cell is None or str(cell).strip() == ""]
    if blank:
        raise DataError(
            f"the group column “{column}” is blank in {few(blank)}.",
            "Give each row a group (one of its own if it belongs to none).",
        )
    return [str(cell).strip() for cell in cells]
