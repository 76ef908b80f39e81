"""What single cells of a table hold, and what kind of column they make: numbers, categories, or neither."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, time
from typing import Any

import numpy as np

from cutpoint.data.collected import few
from cutpoint.data.table import Table
from cutpoint.errors import DataError

_BLANKS = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
_NUMBERING = frozenset({"", "id", "index", "row", "row_id", "rowid", "unnamed: 0"})
_DATE = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}( .*)?|\d{1,2}:\d{2}(:\d{2})?"
)
_NEARLY_ALL = 0.9
"""Share of numbers (of dates) from which on other cells are a mistake, not another kind of column."""
_IDENTIFYING = 0.5
"""Share of different values among the cells from which on words are names of rows, not categories."""
_WORDS_OF_A_NAME = 5
"""Cells of more words are texts."""


def kind_of(name: str, table: Table) -> str:
    """ "number", "category", or why a column is not used: "numbering", "dates", "names", "lists", "blank", "text"."""
    cells = [cell for cell in table.columns[name] if not is_blank(cell)]
    if not cells:
        return "blank"
    if any(isinstance(cell, list | dict) for cell in cells):
        return "lists"
    numbers = sum(not np.isnan(number_in(cell)) for cell in cells)
    if numbers == len(cells):
        is_numbering = name.strip().lower() in _NUMBERING and len(set(cells)) == len(cells)
        return "numbering" if is_numbering else "number"
    if numbers > _NEARLY_ALL * len(cells):
        names, every = table.names, table.columns[name]
        wrong = [row for row, cell in enumerate(every) if not is_blank(cell) and np.isnan(number_in(cell))]
        raise mixed(name, table.source, [f"{names[row]} “{every[row]}”" for row in wrong])
    return _kind_of_words(cells)


def _kind_of_words(cells: Sequence[Any]) -> str:
    if sum(_is_date(cell) for cell in cells) > _NEARLY_ALL * len(cells):
        return "dates"
    if 2 * sum(len(str(cell).split()) > _WORDS_OF_A_NAME for cell in cells) > len(cells):
        return "text"
    different = len({category_in(cell) for cell in cells})
    return "category" if different <= max(_IDENTIFYING * len(cells), 2) else "names"


def is_blank(cell: Any) -> bool:
    if isinstance(cell, float):
        return bool(np.isnan(cell))
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in _BLANKS)


def number_in(cell: Any) -> float:
    """The finite number of a cell; NaN where it holds none."""
    if isinstance(cell, date | time):
        return float("nan")
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def _is_date(cell: Any) -> bool:
    return isinstance(cell, date | time) or (
        isinstance(cell, str) and _DATE.fullmatch(cell.strip()) is not None
    )


def category_in(cell: Any) -> str:
    return "" if is_blank(cell) else str(cell).strip()


def mixed(name: str, source: str, wrong: Sequence[str]) -> DataError:
    return DataError(
        f"the column “{name}” of {source} holds numbers, but not in {few(wrong)}.",
        "Write a number, or leave the cell blank where it is not known.",
    )
