"""Sizes as people write them."""

from __future__ import annotations

import re

from cutpoint.errors import CutpointError

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("KMGT", start=1)}
_UNITS |= {f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", start=1)}


def parse_size(text: str) -> int:
    """Bytes from "10GB", "512 MiB" or a number of bytes; "0" is nothing at all.

    Raises:
        CutpointError: Neither.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    unit = match[2].upper() if match else ""
    unit = f"{unit}B" if unit in ("K", "M", "G", "T") else unit
    if match is None or unit not in _UNITS:
        raise CutpointError(f"“{text}” is no size.", "Write it as 500MB, 10GB or 2GiB.")
    return int(float(match[1]) * _UNITS[unit])
