"""Tables with a column of paths of images."""

from __future__ import annotations

from typing import Any

from cutpoint.data.collected import Collected
from cutpoint.data.columns import Wanted, target_column, with_splits_and_groups
from cutpoint.data.signals import refuse_signals
from cutpoint.data.table import Table
from cutpoint.errors import DataError


def read_images(table: Table, wanted: Wanted, column: str) -> Collected:
    """A row an image; paths are relative to the folder of the table.

    Raises:
        DataError: A cell that is no path, or labels that cannot be told.
    """
    target = target_column(table, wanted, (column,))
    paths = [_path_text(value) for value in table.columns[column]]
    refuse_signals(table.source, paths)
    notes = [f"images are in the column “{column}”, labels in “{target}”"]
    if len(set(paths)) < len(paths):
        notes.append(f"rows whose file an earlier row names as well: {len(paths) - len(set(paths)):,}")
    collected = Collected(
        source=table.source,
        modality="image",
        inputs=[str(table.folder / path) if path else None for path in paths],
        labels=table.columns[target],
        names=[path or name for path, name in zip(paths, table.names, strict=True)],
        notes=tuple(notes),
    )
    return with_splits_and_groups(collected, table, wanted, (column, target))


def _path_text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(
            f"the input column holds {type(value).__name__} values, not paths of files.",
            "Name the column of paths by --input-column.",
        )
    return value.strip()
