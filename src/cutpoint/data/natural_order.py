"""The order in which people count: "2" before "10"."""

from __future__ import annotations

import re


def natural_key(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sort key by which "2" comes before "10", whatever the case; equal names fall back on their own text."""
    pieces = (piece for piece in re.split(r"(\d+)", text) if piece)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p.lower()) for p in pieces), text
