"""Tables with a column of paths of images or sounds."""

from __future__ import annotations

from typing import Any

from cutpoint.data.collected import Collected
from cutpoint.data.columns import Wanted, target_column, with_splits_and_groups
from cutpoint.data.signals import looks_like_sound, refuse_other_sounds
from cutpoint.data.table import Table
from cutpoint.errors import DataError


def read_paths(table: Table, wanted: Wanted, column: str) -> Collected:
    """A row an image, or a sound where most files are; paths are relative to the folder of the table.

    Raises:
        DataError: A cell that is no path, or labels that cannot be told.
    """
    target = target_column(table, wanted, (column,))
    paths = [_path_text(value) for value in table.columns[column]]
    refuse_other_sounds(table.source, paths)
    are_sounds = 2 * sum(map(looks_like_sound, paths)) > sum(map(bool, paths))
    noun = "sounds" if are_sounds else "images"
    notes = [f"{noun} are in the column “{column}”, labels in “{target}”"]
    if len(set(paths)) < len(paths):
        notes.append(f"rows whose file an earlier row names as well: {len(paths) - len(set(paths)):,}")
    collected = Collected(
        source=table.source,
        modality="signal" if are_sounds else "image",
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
