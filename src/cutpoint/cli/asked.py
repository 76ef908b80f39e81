"""What the user asks a model about: files, folders, rows of a table, texts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.chats import chat_of, messages_column
from cutpoint.data.columns import Wanted, wanted_columns
from cutpoint.data.encoding import read_utf8
from cutpoint.data.folder import images_in, sounds_in
from cutpoint.data.inspect_texts import parts_of
from cutpoint.data.numbers import table_as_numbers
from cutpoint.data.table import TABLE_SUFFIXES, Table, read_numbers, read_table
from cutpoint.data.tagging import words_column
from cutpoint.data.texts import texts_of, told_columns
from cutpoint.errors import DataError
from cutpoint.model import Model
from cutpoint.types import Words

_STDIN = "-"
_LINES_SUFFIX = ".txt"


@dataclass(frozen=True)
class Asked:
    """Inputs in order.

    Attributes:
        names: Each input as the user would call it.
        inputs: As the model takes them.
        faults: Why an input cannot be used, by its number, where that is known before it is read.
    """

    names: Sequence[str]
    inputs: Sequence[Any] | NDArray[np.float32]
    faults: Mapping[int, str] = field(default_factory=dict)


def asked_of(model: Model, named: Sequence[str], input_column: str | None = None) -> Asked:
    """The inputs that the user named, as this model takes them.

    Args:
        model: Who is asked.
        named: Paths, or for a model of texts also texts themselves, or "-" for lines on stdin.
        input_column: Of tables of texts: one name, or two with a comma between them.

    Raises:
        DataError: What is named holds nothing that the model takes.
    """
    kind = model.backbone.preprocessing.kind
    if kind in ("text", "tfidf"):
        return _texts(named, model.task.kind, input_column)
    if input_column is not None:
        raise DataError("only tables of texts have an input column.", "Leave --input-column out.")
    if kind == "vector":
        return _rows(named, model)
    files = _files(named, "sounds", sounds_in) if kind == "signal" else _files(named, "images", images_in)
    return Asked(files, files)


def _files(paths: Sequence[str], noun: str, files_in: Callable[[Path], list[Path]]) -> list[str]:
    """Files as named, folders with all images or sounds below them in natural order."""
    found: list[str] = []
    for path in paths:
        if not Path(path).is_dir():
            found.append(path)
            continue
        below = [str(file) for file in files_in(Path(path))]
        if not below:
            raise DataError(f"the folder {path} holds no {noun}.", f"Name {noun}, or folders that hold some.")
        found += below
    return found


def _rows(paths: Sequence[str], model: Model) -> Asked:
    """Names and values of all rows of the tables."""
    names, tables, width = [], [], model.backbone.width
    columns = getattr(model.backbone.preprocessing, "columns", ())
    for path in paths:
        if Path(path).suffix.lower() not in TABLE_SUFFIXES or not Path(path).is_file():
            raise DataError(
                f"{path} is no table, and this model answers about rows of {width:,} numbers.",
                "Give a CSV, TSV, Parquet or JSONL file with one column a feature.",
            )
        if columns:
            table = read_table(Path(path), path)
            tables.append(table_as_numbers(table, columns))
            names += [f"{path} {row}" for row in table.names]
            continue
        values = read_numbers(Path(path))
        if values.shape[1] != width:
            raise DataError(
                f"{path} has {values.shape[1]:,} columns; the model takes {width:,}.",
                "Keep only the columns of features that the model was trained on, in their order.",
            )
        names += [f"{path} row {number}" for number in range(1, len(values) + 1)]
        tables.append(values)
    return Asked(names, np.concatenate(tables))


def _texts(named: Sequence[str], task: str, input_column: str | None) -> Asked:
    """Rows of tables, lines of files and of stdin, and whatever else was named as a text itself."""
    names: list[str] = []
    inputs: list[Any] = []
    for name in named:
        if name == _STDIN:
            own_names, own = _lines(sys.stdin.read(), "line", task)
        elif _is_file(name):
            own_names, own = _texts_in(Path(name), name, task, input_column)
        else:
            own_names, own = [name], [_text(name, task)]
        names += own_names
        inputs += own
    blank = {number: "empty text" for number, text in enumerate(inputs) if _is_blank(text)}
    return Asked(names, inputs, {number: f"{names[number]}: {fault}" for number, fault in blank.items()})


def _is_file(name: str) -> bool:
    """Whether a table or a file of lines is named; a mistyped name must not be taken for a text."""
    suffix = Path(name).suffix.lower()
    if suffix not in TABLE_SUFFIXES and suffix != _LINES_SUFFIX:
        return False
    if Path(name).is_file():
        return True
    if any(character.isspace() for character in name):
        return False
    raise DataError(f"{name} does not exist.", "Check the path; or name a text, in quotes.")


def _texts_in(file: Path, source: str, task: str, input_column: str | None) -> tuple[list[str], list[Any]]:
    if file.suffix.lower() == _LINES_SUFFIX:
        return _lines(read_utf8(file), f"{source} line", task)
    table = read_table(file, source)
    inputs = _inputs_of(table, wanted_columns(table, input_column, None, None), task)
    return [f"{source} {row}" for row in table.names], inputs


def _inputs_of(table: Table, wanted: Wanted, task: str) -> list[Any]:
    """What `fit` would learn from in such a table, without any labels."""
    messages = messages_column(table, wanted) if task == "language" else None
    if messages is not None:
        return [chat_of(cell, row) for cell, row in zip(table.columns[messages], table.names, strict=True)]
    words = words_column(table, wanted) if task == "tagging" else None
    if words is not None:
        return [Words(cell or ()) for cell in table.columns[words]]
    columns = (
        ("prompt",) if task == "language" and _has_prompts(table, wanted) else told_columns(table, wanted)
    )
    texts = texts_of(table, columns)
    return [_text(text, task) if isinstance(text, str) else text for text in texts]


def _has_prompts(table: Table, wanted: Wanted) -> bool:
    return not wanted.inputs and "prompt" in table.columns


def _lines(text: str, prefix: str, task: str) -> tuple[list[str], list[Any]]:
    """Every line that holds something, called by its number."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    return [f"{prefix} {number}" for number, _ in lines], [_text(line, task) for _, line in lines]


def _text(text: str, task: str) -> Any:
    """A text as the task takes it: a sentence to be tagged is split at spaces."""
    return Words(text.split()) if task == "tagging" else text


def _is_blank(text: Any) -> bool:
    return not any(part.strip() for part in parts_of(text))
