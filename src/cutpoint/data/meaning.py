"""What the rows of a table are: images, sounds, texts, words with tags, chats, completions, numbers."""

from __future__ import annotations

from cutpoint.data.chats import has_completions, messages_column, read_chats, read_unlabelled
from cutpoint.data.collected import Collected, few
from cutpoint.data.columns import Wanted, path_column, path_column_by_name, text_columns
from cutpoint.data.numbers import is_raw, read_numbers
from cutpoint.data.paths import read_paths
from cutpoint.data.table import Table
from cutpoint.data.tagging import read_tagged, tagged_columns
from cutpoint.data.texts import read_texts
from cutpoint.errors import DataError


def read_rows(table: Table, wanted: Wanted, task: str | None) -> Collected:
    """The rows of a table by what its columns hold, unless the task leaves only one reading.

    Raises:
        DataError: Columns that cannot be told or do not fit the task.
    """
    messages = messages_column(table, wanted) if task in (None, "language") else None
    if messages is not None:
        return read_chats(table, wanted, messages)
    if task == "language" or (task is None and has_completions(table, wanted)):
        return read_unlabelled(table, wanted)
    tagged = tagged_columns(table, wanted) if task in (None, "tagging") else None
    if tagged is not None:
        return read_tagged(table, wanted, *tagged)
    if task == "tagging":
        raise DataError(
            f"no columns of {table.source} are known to hold lists of words and of tags.",
            "Write JSON lines with tokens and tags, or name them by --input-column and --target-column; the "
            f"columns are {few(list(table.columns), 20)}.",
        )
    paths = path_column(table, wanted)
    if paths is None and not text_columns(table, wanted):
        paths = path_column_by_name(table, wanted)
    if paths is not None:
        return read_paths(table, wanted, paths)
    numbers = read_numbers(table, wanted) if is_raw(table, wanted) else None
    if numbers is None and len(wanted.inputs) > 2:
        raise DataError(
            f"{len(wanted.inputs)} columns are to be the input, and none holds numbers: {few(wanted.inputs)}.",
            "Name one column of paths or texts, two for pairs of texts, or the columns of a raw table.",
        )
    return read_texts(table, wanted) if numbers is None else numbers
