"""Sizes as people read and write them: bytes in decimal units, to three digits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cutpoint.errors import CutpointError

_WRITTEN = ("B", "kB", "MB", "GB", "TB", "PB")
_READ = {"": 1, "B": 1}
_READ |= {f"{letter}B": 1000**power for power, letter in enumerate("KMGT", start=1)}
_READ |= {f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", start=1)}


def size(count: int) -> str:
    """Bytes in words: 51 240 → "51.2 kB"."""
    return scaled(count, _WRITTEN)


def scaled(number: int, units: Sequence[str]) -> str:
    """A number to three digits in the unit that suits it; each unit is a thousand of the one before."""
    scaled = float(number)
    for unit in units[:-1]:
        if abs(scaled) < 999.5:
            return (f"{number} {unit}" if unit == units[0] else f"{three_digits(scaled)} {unit}").strip()
        scaled /= 1000
    return f"{three_digits(scaled)} {units[-1]}"


def three_digits(number: float) -> str:
    """Every digit in front of the decimal point, and as many behind it as make three."""
    if number >= 99.95:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"


def parse_size(text: str) -> int:
    """Bytes from "10GB", "512 MiB" or a number of bytes; "0" is nothing at all.

    Raises:
        CutpointError: Neither.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    unit = match[2].upper() if match else ""
    unit = f"{unit}B" if unit in ("K", "M", "G", "T") else unit
    if match is None or unit not in _READ:
        raise CutpointError(f"“{text}” is no size.", "Write it as 500MB, 10GB or 2GiB.")
    return int(float(match[1]) * _READ[unit])
