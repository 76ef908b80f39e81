"""Sound files: not read yet, and told so."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from cutpoint.errors import DataError

_SUFFIXES = frozenset({".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aiff", ".aif", ".wma"})


def refuse_signals(source: object, names: Iterable[object]) -> None:
    """Raise where most of the files are sounds.

    Args:
        source: The data as the user named them.
        names: Files, or None.

    Raises:
        DataError: They are.
    """
    files = [PurePath(str(name)) for name in names if name]
    sounds = [file for file in files if file.suffix.lower() in _SUFFIXES]
    if 2 * len(sounds) > len(files):
        raise DataError(
            f"{source} holds sounds ({len(sounds):,}, such as {min(sounds).name}), which cannot be read yet.",
            "Write a picture of each one's spectrogram and give those as images by class, or give a table with a "
            "column for each number that you compute from a sound.",
        )
