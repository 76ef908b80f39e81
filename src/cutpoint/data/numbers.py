"""Raw tables: columns of numbers and of a few categories, as rows of numbers.

Numbers stay as they are. A blank becomes the median of the training rows, and a column beside it says where blanks
were; a category becomes a column of 0 and 1 for each of its values. Trees could take blanks and categories as such,
linear heads could not: with one representation for both, they are compared on the same input.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.cells import category_in, is_blank, kind_of, mixed, number_in
from cutpoint.data.collected import Collected, few
from cutpoint.data.columns import (
    TARGET_NAMES,
    TEXT_NAMES,
    Wanted,
    left_columns,
    target_column,
    text_columns,
    with_splits_and_groups,
)
from cutpoint.data.natural_order import natural_key
from cutpoint.data.table import Table
from cutpoint.errors import DataError
from cutpoint.types import TableColumn

MOST_CATEGORIES = 50
"""Values of a column that get a column of their own: the most frequent ones. The rest, and what is new, get none."""

Array = NDArray[Any]


def is_raw(table: Table, wanted: Wanted) -> bool:
    """Whether a table that holds no images may be one of numbers.

    It is where columns of numbers are named; else where no column is called as texts are, or holds more than names.
    """
    if len(wanted.inputs) in (1, 2):
        return all(kind_of(name, table) == "number" for name in wanted.inputs)
    told = () if wanted.inputs else text_columns(table, wanted)
    if len(told) == 1:
        return told[0].strip().lower() not in TEXT_NAMES and kind_of(told[0], table) != "text"
    return not told


def read_numbers(table: Table, wanted: Wanted) -> Collected | None:
    """The rows of a raw table with their labels; None where the table has no column of numbers, or texts.

    The inputs are rows of float64, NaN where a cell is blank, and the number of the value in columns of categories;
    `encoded` makes of them what a head takes, once the training rows are known.

    Raises:
        DataError: A column of labels that cannot be told, or one of numbers with other cells among them.
    """
    candidates = wanted.inputs or left_columns(table, wanted)
    if wanted.target is None:
        candidates = [name for name in candidates if name.strip().lower() not in TARGET_NAMES]
    kinds = {name: kind_of(name, table) for name in candidates}
    if not wanted.inputs and "text" in kinds.values():
        return None
    if "number" not in kinds.values():
        return None
    target = target_column(table, wanted, wanted.inputs)
    used = {name: kind for name, kind in kinds.items() if kind in ("number", "category") and name != target}
    if not used:
        return None
    drafts = [_draft(name, kind, table.columns[name]) for name, kind in used.items()]
    collected = Collected(
        source=table.source,
        modality="features",
        inputs=list(np.stack([draft.values for draft in drafts], axis=1)),
        labels=table.columns[target],
        names=table.names,
        columns=tuple(draft.column for draft in drafts),
        notes=(_told(drafts, target), *_not_used(kinds, target)),
    )
    return with_splits_and_groups(collected, table, wanted, (*kinds, target))


def read_known_numbers(table: Table, wanted: Wanted, columns: Sequence[TableColumn]) -> Collected:
    """The rows of a table for a model that was trained on these columns; the inputs are what a head takes.

    Raises:
        DataError: A column is missing, or holds something else than it did.
    """
    target = target_column(table, wanted, tuple(column.name for column in columns))
    collected = Collected(
        source=table.source,
        modality="features",
        inputs=list(table_as_numbers(table, columns)),
        labels=table.columns[target],
        names=table.names,
    )
    return with_splits_and_groups(collected, table, wanted, (*table.columns, target))


def table_as_numbers(table: Table, columns: Sequence[TableColumn]) -> NDArray[np.float32]:
    """float32 (rows, width) of a table with at least these columns; others are passed over.

    Raises:
        DataError: A column is missing, or a cell of a column of numbers holds something else.
    """
    missing = [column.name for column in columns if column.name not in table.columns]
    if missing:
        raise DataError(
            f"{table.source} lacks columns that the model was trained on: {few(missing)}.",
            f"Its columns are {few(list(table.columns), 20)}. A value that is not known may stay blank.",
        )
    cells = {column.name: table.columns[column.name] for column in columns}
    return _as_numbers(cells, columns, table.names, table.source)


def row_as_numbers(row: Mapping[str, Any], columns: Sequence[TableColumn]) -> NDArray[np.float32]:
    """float32 (width,) of one row by the names of its columns; one that is left out is blank.

    Raises:
        DataError: A name that is no column, or something else than a number where one belongs.
    """
    unknown = sorted(set(row) - {column.name for column in columns})
    if unknown:
        names = [column.name for column in columns]
        raise DataError(f"the model has no column {few(unknown)}.", f"Its columns are {few(names, 20)}.")
    cells = {column.name: [row.get(column.name)] for column in columns}
    result: NDArray[np.float32] = _as_numbers(cells, columns, ("row",), "the input")[0]
    return result


def encoded(
    rows: Sequence[Array], drafts: Sequence[TableColumn], train: Array
) -> tuple[NDArray[np.float32], tuple[TableColumn, ...]]:
    """What heads take, and the columns that say how to make it of other tables.

    Args:
        rows: As `read_numbers` gives them.
        drafts: Their columns, with all categories.
        train: Numbers of the training rows, from which medians and the most frequent categories are taken.

    Returns:
        float32 (rows, width); the columns.
    """
    matrix = np.stack(rows)
    columns = tuple(_settled(draft, matrix[train, place]) for place, draft in enumerate(drafts))
    parts = []
    for place, (draft, column) in enumerate(zip(drafts, columns, strict=True)):
        values = matrix[:, place]
        if draft.kind == "category":
            number = {name: index for index, name in enumerate(column.categories)}
            places = np.array([number.get(name, -1) for name in draft.categories], dtype=np.float64)
            known = ~np.isnan(values)
            values = np.where(known, places[np.where(known, values, 0).astype(np.int64)], np.nan)
        parts.append(_spread(values, column))
    return np.concatenate(parts, axis=1), columns


def _as_numbers(
    cells: Mapping[str, Sequence[Any]], columns: Sequence[TableColumn], names: Sequence[str], source: str
) -> NDArray[np.float32]:
    parts = []
    for column in columns:
        own = cells[column.name]
        if column.kind == "number":
            values = np.array(
                [np.nan if is_blank(cell) else number_in(cell) for cell in own], dtype=np.float64
            )
            wrong = [row for row, cell in enumerate(own) if np.isnan(values[row]) and not is_blank(cell)]
            if wrong:
                raise mixed(column.name, source, [f"{names[row]} “{own[row]}”" for row in wrong])
        else:
            number = {name: float(index) for index, name in enumerate(column.categories)}
            values = np.array([number.get(category_in(cell), np.nan) for cell in own])
        parts.append(_spread(values, column))
    result: NDArray[np.float32] = np.concatenate(parts, axis=1)
    return result


def _spread(values: Array, column: TableColumn) -> NDArray[np.float32]:
    """(rows, column.width) of the values, or numbers of categories, of one column."""
    if column.kind == "category":
        parts = [values == number for number in range(len(column.categories))]
    else:
        blank = np.isnan(values)
        parts = [np.where(blank, column.filling, values), *([blank] if column.has_blanks else [])]
    result: NDArray[np.float32] = np.array(parts, dtype=np.float32).reshape(-1, len(values)).T
    return result


def _settled(draft: TableColumn, values: Array) -> TableColumn:
    """A column with what is to be known of the training rows."""
    known = values[~np.isnan(values)]
    if draft.kind == "number":
        filling = float(np.median(known)) if len(known) else 0.0
        return draft.model_copy(update={"filling": filling, "has_blanks": len(known) < len(values)})
    counts = np.bincount(known.astype(np.int64), minlength=len(draft.categories))
    frequent = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    kept = tuple(draft.categories[place] for place in np.sort(frequent) if counts[place])
    return draft.model_copy(update={"categories": kept})


@dataclass(frozen=True)
class _Draft:
    column: TableColumn
    values: Array


def _draft(name: str, kind: str, cells: Sequence[Any]) -> _Draft:
    if kind == "number":
        values = [np.nan if is_blank(cell) else number_in(cell) for cell in cells]
        return _Draft(TableColumn(name=name, kind="number"), np.array(values, dtype=np.float64))
    found = sorted({category_in(cell) for cell in cells if not is_blank(cell)}, key=natural_key)
    number = {category: float(index) for index, category in enumerate(found)}
    values = [number.get(category_in(cell), np.nan) for cell in cells]
    return _Draft(TableColumn(name=name, kind="category", categories=tuple(found)), np.array(values))


def _told(drafts: Sequence[_Draft], target: str) -> str:
    words = []
    for kind, noun in (("number", "numbers"), ("category", "categories")):
        names = [draft.column.name for draft in drafts if draft.column.kind == kind]
        words += [f"{noun} in {few(names, 10)}"] if names else []
    return f"a raw table: {', '.join(words)}; labels in “{target}”"


_REASONS = {
    "numbering": "it numbers the rows",
    "dates": "dates: write numbers instead, such as days since a day or the month",
    "names": "nearly every row has a value of its own",
    "lists": "cells hold lists",
    "blank": "it is blank",
}


def _not_used(kinds: Mapping[str, str], target: str) -> list[str]:
    counts = Counter(kind for name, kind in kinds.items() if kind in _REASONS and name != target)
    named = {
        kind: few(
            [name or "(without a name)" for name, own in kinds.items() if own == kind and name != target]
        )
        for kind in counts
    }
    return [f"columns that are not used: {names} ({_REASONS[kind]})" for kind, names in named.items()]
