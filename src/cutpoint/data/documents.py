"""Plain text files as documents for language modelling."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from cutpoint.data.collected import Collected
from cutpoint.data.encoding import read_utf8
from cutpoint.errors import DataError

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")

# Long enough to hold a thought and short enough that a file has many; packing joins them again.
_WORDS_A_DOCUMENT = 200


def read_documents(files: Mapping[Path, str | None], source: str) -> Collected:
    """Documents of one plain text file, or of several that are splits.

    Paragraphs between blank lines are documents. A file without blank lines has its lines joined into documents
    of 200 words or a little more.

    Args:
        files: The split of each file, or None.
        source: What the user named.

    Raises:
        DataError: A file without text, or not in UTF-8.
    """
    inputs: list[str] = []
    names: list[str] = []
    splits: list[str] = []
    notes: list[str] = []
    for file, split in files.items():
        found, how = documents_in(read_utf8(file))
        if not found:
            raise DataError(f"{file} holds no text.", "Give a text file in UTF-8.")
        inputs += found
        prefix = "" if split is None else f"{file.name} "
        names += [f"{prefix}document {number}" for number in range(1, len(found) + 1)]
        splits += [] if split is None else [split] * len(found)
        notes.append(f"documents of {file.name} are {how}: {len(found):,}")
    return Collected(
        source=source,
        modality="text",
        inputs=inputs,
        labels=[None] * len(inputs),
        names=names,
        splits=splits or None,
        notes=tuple(notes),
        kind="language",
    )


def documents_in(text: str) -> tuple[list[str], str]:
    """The documents of a text, and in words what they are."""
    paragraphs = [part for part in _BLANK_LINES.split(text.strip()) if part]
    if len(paragraphs) > 1:
        return paragraphs, "its paragraphs between blank lines"
    joined: list[str] = []
    lines: list[str] = []
    words = 0
    for line in text.strip().split("\n"):
        lines.append(line)
        words += len(line.split())
        if words >= _WORDS_A_DOCUMENT:
            joined.append("\n".join(lines))
            lines, words = [], 0
    if any(lines):
        joined.append("\n".join(lines))
    return joined, f"its lines, joined to {_WORDS_A_DOCUMENT} words or more"
