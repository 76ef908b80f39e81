"""What the activation cache holds when a run begins."""

from __future__ import annotations

import shutil
from pathlib import Path

STATES = ("cold", "converted", "warm")
"""Nothing · converted graphs, but no features · everything that the run before left."""


def prepare_cache(folder: Path, state: str) -> None:
    """Bring a cache into a state; "converted" and "warm" need the same run to have happened before.

    Args:
        folder: Of the cache, and of nothing else.
        state: One of `STATES`.
    """
    if state not in STATES:
        raise ValueError(f"{state!r} is none of {', '.join(STATES)}.")
    if state == "cold":
        shutil.rmtree(folder, ignore_errors=True)
    if state == "converted":
        for values in folder.glob("*.npy"):  # activations and features; graphs lie in other files
            values.unlink()
            values.with_suffix(".json").unlink(missing_ok=True)
