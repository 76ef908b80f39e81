"""Tables as they stand in files: CSV, TSV, Parquet, JSON lines. What their columns mean is told elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.collected import few
from cutpoint.data.encoding import read_utf8
from cutpoint.data.images import looks_like_image
from cutpoint.errors import DataError

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson"})

Columns = dict[str, list[Any]]

# Bytes that pyarrow parses at once: no row may be longer than that.
_LEAST_BLOCK, _LARGEST_BLOCK = 1 << 20, 1 << 30


@dataclass(frozen=True)
class Table:
    """Cells as Python values; those of CSV and TSV are text as written, so that "01" stays "01".

    Attributes:
        source: The file, or the folder of the files, as the user named it.
        folder: What paths in the cells are relative to.
        columns: A list of cells, one a row, under each column's name; None where a row has no such cell.
        names: How each row is called: "row 12" counts rows of data from 1, "train.csv row 12" where there are
            several files.
        splits: "train", "val" or "test" for each row where file names tell it.
    """

    source: str
    folder: Path
    columns: Mapping[str, Sequence[Any]]
    names: Sequence[str]
    splits: Sequence[str] | None = None


def read_table(file: Path, source: str) -> Table:
    """One file, which the user calls `source`.

    Raises:
        DataError: The file cannot be read, is empty, or has no usable header.
    """
    columns = _read(file)
    return Table(source, file.absolute().parent, columns, _row_names(columns))


def read_split_tables(folder: Path, files: Mapping[Path, str], source: str) -> Table:
    """Several files, each of which is a split, as one table with the columns of all.

    Args:
        folder: Where they lie.
        files: The split of each file.
        source: What the user calls the folder.

    Raises:
        DataError: As for `read_table`.
    """
    parts = {file: _read(file) for file in files}
    everywhere = dict.fromkeys(name for columns in parts.values() for name in columns)
    merged: Columns = {name: [] for name in everywhere}
    names: list[str] = []
    splits: list[str] = []
    for file, columns in parts.items():
        rows = _row_names(columns)
        for name in everywhere:
            merged[name] += columns.get(name, [None] * len(rows))
        names += [f"{file.name} {row}" for row in rows]
        splits += [files[file]] * len(rows)
    return Table(source, folder.absolute(), merged, names, splits)


def read_numbers(file: Path) -> NDArray[np.float32]:
    """Rows of a table that holds nothing but numbers, float32 (rows, columns).

    Raises:
        DataError: The file cannot be read, is empty, or a column does not hold numbers in every row.
    """
    columns = []
    for name, cells in _read(file).items():
        if any(cell is None for cell in cells):
            raise _not_finite(name, file)
        try:
            columns.append(np.array([float(cell) for cell in cells]))
        except (TypeError, ValueError) as problem:
            raise DataError(
                f"the column “{name}” of {file} does not hold numbers: {problem}.",
                "Keep only the columns of features that the model was trained on, in their order.",
            ) from problem
        if not np.isfinite(columns[-1]).all():
            raise _not_finite(name, file)
    return np.stack(columns, axis=1).astype(np.float32)


def _not_finite(name: str, file: Path) -> DataError:
    return DataError(
        f"the column “{name}” of {file} has blank or infinite cells.", "Fill or remove these rows."
    )


def _row_names(columns: Columns) -> list[str]:
    return [f"row {row}" for row in range(1, len(next(iter(columns.values()))) + 1)]


def _read(file: Path) -> Columns:
    suffix = file.suffix.lower()
    try:
        if file.stat().st_size == 0:
            raise DataError(f"{file} is empty.", "Give a table with a header and one row an example.")
        columns = _read_json_lines(file) if suffix in (".jsonl", ".ndjson") else _read_arrow(file)
    # pyarrow's errors are these too.
    except (ValueError, NotImplementedError, OSError) as problem:
        if suffix in (".csv", ".tsv"):
            # Tells the line and the byte where the fault is one of encoding.
            read_utf8(file)
        raise DataError(
            f"{file} cannot be read as {suffix[1:].upper()}: {str(problem).splitlines()[0]}.",
            "Check that it is a whole file of that format, in UTF-8 where it is text.",
        ) from problem
    if not columns or not next(iter(columns.values())):
        raise DataError(f"{file} holds no rows.", "Give a table with one row an example.")
    if any(looks_like_image(name) for name in columns):
        raise no_header(file, columns)
    return columns


def no_header(place: object, columns: Mapping[str, Any]) -> DataError:
    """The error for a table whose first row was taken as names of columns but is not."""
    return DataError(
        f"the first row of {place} holds data, not the names of the columns: {few(list(columns))}.",
        "Add a header such as path,label or text,label.",
    )


def _read_arrow(file: Path) -> Columns:
    import pyarrow.parquet

    is_parquet = file.suffix.lower() in (".parquet", ".pq")
    table = pyarrow.parquet.read_table(file) if is_parquet else _read_delimited(file)
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{file} has several columns called {few(twice)}.", "Rename all but one of them.")
    columns = {name: table.column(name).to_pylist() for name in names}
    del table  # what pyarrow's pool keeps would stay with the process beside the columns
    pyarrow.default_memory_pool().release_unused()
    return columns


def _read_delimited(file: Path) -> Any:
    with file.open(encoding="utf-8-sig") as lines:
        header = lines.readline()
    delimiter = "\t"
    if file.suffix.lower() == ".csv":
        delimiter = max((",", ";", "\t"), key=lambda mark: (header.count(mark), mark == ","))
    table = _parsed(file, delimiter, quoted=True)
    # An inch mark or a quotation mark at the start of a cell swallows the rows up to the next one. Texts hold no
    # tabs, so that such cells tell a table that is written without quotes.
    if delimiter == "\t" and any(_holds_rows(table.column(name)) for name in table.column_names):
        return _parsed(file, delimiter, quoted=False)
    return table


def _holds_rows(cells: Any) -> bool:
    return any("\t" in cell and "\n" in cell for cell in cells.to_pylist())


def _parsed(file: Path, delimiter: str, quoted: bool) -> Any:
    import pyarrow.csv

    parse = pyarrow.csv.ParseOptions(
        delimiter=delimiter, newlines_in_values=quoted, quote_char='"' if quoted else False
    )
    block = min(max(file.stat().st_size, _LEAST_BLOCK), _LARGEST_BLOCK)
    read = pyarrow.csv.ReadOptions(block_size=block)
    names = pyarrow.csv.open_csv(file, read_options=read, parse_options=parse).schema.names
    text = pyarrow.csv.ConvertOptions(
        column_types={name: pyarrow.string() for name in names}, strings_can_be_null=False
    )
    return pyarrow.csv.read_csv(file, read_options=read, parse_options=parse, convert_options=text)


def _read_json_lines(file: Path) -> Columns:
    """Line by line, so that a fault is told with its line, and dates stay the text that they are."""
    hint = "Write one JSON object a line, such as {“text”: “…”, “label”: “…”}."
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(read_utf8(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise DataError(f"{file} cannot be read as JSONL: line {number:,}: {problem}.", hint) from problem
        if not isinstance(row, dict):
            raise DataError(f"{file} cannot be read as JSONL: line {number:,} is no object.", hint)
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
