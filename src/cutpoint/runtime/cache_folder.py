"""Where this user's machine keeps what can be computed again."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache_folder() -> Path:
    """$CUTPOINT_CACHE, else cutpoint/ in the user's cache folder."""
    if named := os.environ.get("CUTPOINT_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cutpoint"
