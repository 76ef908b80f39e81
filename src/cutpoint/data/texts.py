"""Texts and pairs of texts, from the columns of a table or from a list."""

from __future__ import annotations

from collections.abc import Sequence

from cutpoint.data.collected import Collected, few
from cutpoint.data.columns import TARGET_NAMES, Wanted, target_column, text_columns, with_splits_and_groups
from cutpoint.data.table import Table, no_header
from cutpoint.errors import DataError
from cutpoint.types import TextPair


def read_texts(table: Table, wanted: Wanted) -> Collected:
    """Rows with labels; the inputs are str, or `TextPair` where two columns are the input.

    Raises:
        DataError: A column that cannot be told, cells that are no texts, or a table without a header.
    """
    columns = told_columns(table, wanted)
    target = target_column(table, wanted, columns)
    if not wanted.taken and target.strip().lower() not in TARGET_NAMES and target in table.columns[target]:
        raise no_header(table.source, table.columns)
    inputs = texts_of(table, columns)
    where = f"texts are in the column “{columns[0]}”"
    if len(columns) == 2:
        where = f"texts are pairs of the columns “{columns[0]}” and “{columns[1]}”"
    notes = [f"{where}, labels in “{target}”"]
    written = [text for text in inputs if "".join(text).strip()]
    repeated = len(written) - len(set(written))
    if repeated:
        notes.append(f"rows whose text an earlier row has as well: {repeated:,}")
    collected = Collected(
        source=table.source,
        modality="text",
        inputs=inputs,
        labels=table.columns[target],
        names=table.names,
        notes=tuple(notes),
    )
    return with_splits_and_groups(collected, table, wanted, (*columns, target))


def told_columns(table: Table, wanted: Wanted) -> tuple[str, ...]:
    """The column of texts, or the two of pairs.

    Raises:
        DataError: They cannot be told.
    """
    columns = text_columns(table, wanted)
    if not columns:
        raise DataError(
            f"no column of {table.source} is known to hold texts, or paths of images.",
            f"Name one by --input-column; the columns are {few(list(table.columns), 20)}.",
        )
    return columns


def texts_of(table: Table, columns: Sequence[str]) -> list[str | TextPair]:
    """A text a row, or a pair where there are two columns; blank where a cell is.

    Raises:
        DataError: A cell that is no text.
    """
    cells = [_texts_in(table, column) for column in columns]
    return [TextPair(*row) for row in zip(*cells, strict=True)] if len(cells) == 2 else list(cells[0])


def _texts_in(table: Table, column: str) -> list[str]:
    cells = table.columns[column]
    wrong = [row for row, cell in enumerate(cells) if not isinstance(cell, str | None)]
    if wrong:
        raise DataError(
            f"the column “{column}” of {table.source} holds {type(cells[wrong[0]]).__name__} values, not "
            f"texts, in {few([table.names[row] for row in wrong])}.",
            "Name the column of texts by --input-column.",
        )
    return [cell or "" for cell in cells]
