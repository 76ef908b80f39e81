"""From whatever the user has to rows as given: which reader it takes, and the groups of the rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cutpoint.data.arrays import label_list, read_arrays
from cutpoint.data.collected import Collected, few
from cutpoint.data.columns import wanted_columns
from cutpoint.data.documents import read_documents
from cutpoint.data.folder import read_folder, split_files
from cutpoint.data.meaning import read_rows
from cutpoint.data.numbers import read_known_numbers
from cutpoint.data.signals import refuse_other_sounds
from cutpoint.data.table import TABLE_SUFFIXES, read_split_tables, read_table
from cutpoint.data.text_lists import read_text_list, texts_among
from cutpoint.errors import DataError
from cutpoint.types import TableColumn

_MODES_HINT = (
    "Give a folder of images, sounds or texts, a .csv, .tsv, .parquet, .jsonl or .txt file, or inputs with "
    "targets=…."
)
_TEXT_SUFFIX = ".txt"


def collect(
    source: Any,
    targets: Any,
    *,
    input_column: str | None,
    target_column: str | None,
    group: str | Sequence[Any] | None,
    task: str | None,
    columns: Sequence[TableColumn] = (),
) -> Collected:
    """Rows of a folder, a file or of inputs in memory; the arguments are those of `load_dataset`.

    Args:
        columns: Those of the raw table that a model was trained on: tables are read as such.

    Raises:
        DataError: What cannot be read, or arguments that do not go with it.
    """
    if not isinstance(source, str | Path):
        return _with_groups(_in_memory(source, targets, task), group)
    if targets is not None:
        raise DataError(
            "targets go with inputs in memory, not with a folder or a table.",
            "Leave targets out: " + _MODES_HINT,
        )
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"{source} does not exist.", "Check the path. " + _MODES_HINT)
    splits = split_files(path) if path.is_dir() else {}
    files = list(splits) if path.is_dir() else [path]
    if files and all(file.suffix.lower() != _TEXT_SUFFIX for file in files):
        return _collect_tables(path, splits, str(source), input_column, target_column, group, task, columns)
    if input_column or target_column:
        kind = "folder" if path.is_dir() else "plain text file"
        raise DataError(f"{source} is a {kind} and has no columns.", "Leave the column names out.")
    if not files:
        return _with_groups(read_folder(path, str(source)), group)
    return _with_groups(_collect_documents(path, splits, str(source), task), group)


def _in_memory(inputs: Any, targets: Any, task: str | None) -> Collected:
    texts = texts_among(inputs)
    if texts is None:
        return read_arrays(inputs, targets)
    return read_text_list(texts, None if targets is None else label_list(targets), task)


def _collect_documents(path: Path, splits: dict[Path, str], source: str, task: str | None) -> Collected:
    if task not in (None, "language"):
        raise DataError(
            f"{source} is plain text without labels, which is not {task}.",
            "Give a table with a text and a label column, or a subfolder of .txt files for each class.",
        )
    return read_documents(dict(splits) or {path: None}, source)


def _collect_tables(
    path: Path,
    splits: dict[Path, str],
    source: str,
    input_column: str | None,
    target_column: str | None,
    group: str | Sequence[Any] | None,
    task: str | None,
    columns: Sequence[TableColumn],
) -> Collected:
    refuse_other_sounds(source, [path])
    if not splits and path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(f"{source} is neither a folder nor a table that can be read.", _MODES_HINT)
    table = read_split_tables(path, splits, source) if splits else read_table(path, source)
    wanted = wanted_columns(table, input_column, target_column, group if isinstance(group, str) else None)
    collected = read_known_numbers(table, wanted, columns) if columns else read_rows(table, wanted, task)
    return collected if collected.groups is not None else _with_groups(collected, group)


def _with_groups(collected: Collected, group: str | Sequence[Any] | None) -> Collected:
    if group is None:
        return collected
    groups = _groups_by_pattern(collected.names, group) if isinstance(group, str) else [str(g) for g in group]
    if len(groups) != len(collected.names):
        raise DataError(
            f"there are {len(collected.names):,} inputs but {len(groups):,} groups.",
            "Give one group an input.",
        )
    return replace(collected, groups=groups)


def _groups_by_pattern(names: Sequence[str], group: str) -> list[str]:
    hint = "Give a column of the table, or a regular expression on the path such as '(patient[0-9]+)'."
    try:
        pattern = re.compile(group)
    except re.error as problem:
        raise DataError(f"the group “{group}” is no regular expression: {problem}.", hint) from problem
    matches = [pattern.search(name) for name in names]
    missed = [name for name, match in zip(names, matches, strict=True) if match is None]
    if len(missed) == len(names):
        raise DataError(f"the group “{group}” is no column and matches no name, such as {names[0]}.", hint)
    if missed:
        raise DataError(f"the group “{group}” does not match some names: {few(missed)}.", hint)
    return [str(match[1] if pattern.groups else match[0]) for match in matches if match is not None]
