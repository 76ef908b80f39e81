"""Tables with a path and a label column: CSV, TSV, Parquet, JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from numpy.typing import NDArray

from cutpoint.data.collected import Collected, few, split_name
from cutpoint.data.images import IMAGE_SUFFIXES
from cutpoint.errors import DataError

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson"})

_INPUT_NAMES = (
    *("path", "image_path", "filepath", "file_path", "image", "file", "filename", "file_name"),
    *("image_file", "img", "img_path", "image_name"),
)
_TARGET_NAMES = ("label", "labels", "class", "class_name", "target", "targets", "category", "tags", "y")
_SPLIT_COLUMN = "split"

# Enough rows to tell a column of paths from one of text.
_ROWS_LOOKED_AT = 50


def read_table(
    file: Path,
    source: str,
    *,
    input_column: str | None = None,
    target_column: str | None = None,
    group: str | None = None,
) -> Collected:
    """Rows of a table; paths are relative to the folder of the table.

    Without a name, the input column is one whose values look like paths of images, and the target column one
    of the usual names ("label", "class", "target", …) or the only column left. A column called "split" with
    train, val and test is taken as given splits. CSV cells are read as text, so "01" stays "01".

    Args:
        file: A .csv, .tsv, .parquet (.pq) or .jsonl (.ndjson) file.
        source: What to call it.
        group: Perhaps a column with the group of each row; any other text is left to the caller.

    Raises:
        DataError: The file cannot be read or is empty, or a column is unknown or cannot be told.
    """
    table = _read(file)
    columns = table.column_names
    group_column = group if group in columns else None
    if table.num_rows == 0:
        raise DataError(f"{file} holds no rows.", "Give a table with one row an image.")
    _check_columns(columns, (input_column, target_column), file)
    input_column = input_column or _infer_input(table, file, taken=(target_column, group_column))
    split_column = _split_column(columns, taken=(input_column, target_column, group_column))
    target_column = target_column or _infer_target(
        columns, file, taken=(input_column, split_column, group_column)
    )
    if input_column == target_column:
        raise DataError(
            f"“{input_column}” is both the input and the target column.",
            f"Columns of {file}: {few(columns)}.",
        )
    paths = [_path_text(value) for value in table.column(input_column).to_pylist()]
    notes = [f"images are in the column “{input_column}”, labels in “{target_column}”"]
    if len(set(paths)) < len(paths):
        notes.append(f"rows whose file an earlier row names as well: {len(paths) - len(set(paths)):,}")
    groups = None if group_column is None else _groups(table.column(group_column).to_pylist(), group_column)
    return Collected(
        source=source,
        modality="image",
        inputs=[str(file.absolute().parent / path) if path else None for path in paths],
        labels=table.column(target_column).to_pylist(),
        names=[path or f"row {row}" for row, path in enumerate(paths, start=1)],
        splits=None if split_column is None else _splits(table.column(split_column).to_pylist(), file),
        groups=groups,
        notes=tuple(notes),
    )


def read_numbers(file: Path) -> NDArray[np.float32]:
    """Rows of a table that holds nothing but numbers, float32 (rows, columns).

    Raises:
        DataError: The file cannot be read, is empty, or a column does not hold numbers in every row.
    """
    table = _read(file)
    columns = []
    for name in table.column_names:
        try:
            columns.append(table.column(name).cast(pyarrow.float64()).to_numpy())
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as problem:
            raise DataError(
                f"the column “{name}” of {file} does not hold numbers: {str(problem).splitlines()[0]}.",
                "Keep only the columns of features that the model was trained on, in their order.",
            ) from problem
        if not np.isfinite(columns[-1]).all():
            raise DataError(
                f"the column “{name}” of {file} has blank or infinite cells.", "Fill or remove these rows."
            )
    return np.stack(columns, axis=1).astype(np.float32)


def _read(file: Path) -> Any:
    suffix = file.suffix.lower()
    try:
        if file.stat().st_size == 0:
            raise DataError(f"{file} is empty.", "Give a table with a header and one row an image.")
        if suffix in (".csv", ".tsv"):
            return _read_text(file, "\t" if suffix == ".tsv" else None)
        if suffix in (".parquet", ".pq"):
            return pyarrow.parquet.read_table(file)
        return pyarrow.json.read_json(file)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, OSError, UnicodeDecodeError) as problem:
        raise DataError(
            f"{file} cannot be read as {suffix[1:].upper()}: {str(problem).splitlines()[0]}.",
            "Check that it is a whole file of that format, in UTF-8 where it is text.",
        ) from problem


def _read_text(file: Path, delimiter: str | None) -> Any:
    with file.open(encoding="utf-8-sig") as lines:
        header = lines.readline()
    if delimiter is None:
        delimiter = max((",", ";", "\t"), key=lambda mark: (header.count(mark), mark == ","))
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    names = pyarrow.csv.open_csv(file, parse_options=parse).schema.names
    text = pyarrow.csv.ConvertOptions(
        column_types={name: pyarrow.string() for name in names}, strings_can_be_null=False
    )
    return pyarrow.csv.read_csv(file, parse_options=parse, convert_options=text)


def _check_columns(columns: Sequence[str], wanted: Sequence[str | None], file: Path) -> None:
    for name in wanted:
        if name is not None and name not in columns:
            raise DataError(f"{file} has no column “{name}”.", f"Its columns are {few(columns, 20)}.")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{file} has several columns called {few(twice)}.", "Rename all but one of them.")
    if any(_looks_like_image(name) for name in columns):
        raise DataError(
            f"the first row of {file} holds data, not the names of the columns: {few(columns)}.",
            "Add a header such as path,label.",
        )


def _infer_input(table: Any, file: Path, taken: Sequence[str | None]) -> str:
    names = [name for name in table.column_names if name not in taken]
    usual = [name for name in names if name.strip().lower() in _INPUT_NAMES]
    usual.sort(key=lambda name: _INPUT_NAMES.index(name.strip().lower()))
    for name in [*usual, *(name for name in names if name not in usual)]:
        values = [value for value in table.column(name).slice(0, _ROWS_LOOKED_AT).to_pylist() if value]
        if values and sum(_looks_like_image(value) for value in values) * 2 > len(values):
            return str(name)
    if usual and isinstance(table.column(usual[0])[0].as_py(), str):
        return str(usual[0])
    raise DataError(
        f"no column of {file} holds paths of images.",
        f"Name one by --input-column; the columns are {few(table.column_names, 20)}.",
    )


def _looks_like_image(value: Any) -> bool:
    return isinstance(value, str) and PurePosixPath(value.strip()).suffix.lower() in IMAGE_SUFFIXES


def _split_column(columns: Sequence[str], taken: Sequence[str | None]) -> str | None:
    found = [name for name in columns if name.strip().lower() == _SPLIT_COLUMN and name not in taken]
    return found[0] if found else None


def _infer_target(columns: Sequence[str], file: Path, taken: Sequence[str | None]) -> str:
    left = [name for name in columns if name not in taken]
    usual = [name for name in left if name.strip().lower() in _TARGET_NAMES]
    if len(usual) == 1:
        return usual[0]
    if len(left) == 1:
        return left[0]
    raise DataError(
        f"the label column of {file} cannot be told.",
        f"Name one by --target-column; the columns are {few(columns, 20)}.",
    )


def _path_text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(
            f"the input column holds {type(value).__name__} values, not paths of files.",
            "Name the column of paths by --input-column.",
        )
    return value.strip()


def _splits(cells: Sequence[Any], file: Path) -> list[str]:
    splits = [split_name(str(cell)) for cell in cells]
    unknown = sorted({str(cell) for cell, split in zip(cells, splits, strict=True) if split is None})
    if unknown:
        raise DataError(
            f"the column “{_SPLIT_COLUMN}” of {file} holds {few(unknown)}.",
            "Write train, val or test in every row, or rename the column so that a test part is held out.",
        )
    return [split for split in splits if split]


def _groups(cells: Sequence[Any], column: str) -> list[str]:
    blank = [
        f"row {row}" for row, cell in enumerate(cells, start=1) if cell is None or str(cell).strip() == ""
    ]
    if blank:
        raise DataError(
            f"the group column “{column}” is blank in {few(blank)}.",
            "Give each row a group (one of its own if it belongs to none).",
        )
    return [str(cell).strip() for cell in cells]
