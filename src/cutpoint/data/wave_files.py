"""The bytes of a .wav file as samples.

Read here and not by a library, since those known warn of damage through Python's warnings, which threads share.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_INTEGERS, _REALS, _EXTENSIBLE = 1, 3, 0xFFFE
_TYPES = {
    (_INTEGERS, 8): "u1",
    (_INTEGERS, 16): "<i2",
    (_INTEGERS, 24): "u1",
    (_INTEGERS, 32): "<i4",
    (_REALS, 32): "<f4",
    (_REALS, 64): "<f8",
}
_UNTOLD = 0xFFFFFFFF
"""Length in the header of what was written to a pipe: up to the end of the file."""


def samples_of(content: bytes) -> tuple[int, NDArray[np.float32]]:
    """Sampling rate, and float32 (samples, channels): integers as shares of full scale, reals as they are.

    Args:
        content: Of a RIFF file with PCM of 8, 16, 24 or 32 bits, or reals of 32 or 64.

    Raises:
        ValueError: It is none, or breaks off; the message says so in a few words.
    """
    if not content:
        raise ValueError("empty file")
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError("not a .wav file, whatever its name")
    layout = b""
    for name, size, body in _chunks(content):
        if name == b"fmt ":
            layout = body
        if name == b"data" and len(layout) >= 16:
            if len(body) < size != _UNTOLD:
                raise ValueError("it breaks off before its end")
            return _decoded(layout, body)
    raise ValueError("it breaks off in its header")


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, length as told, and what is there of each part of the file."""
    place = 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        yield name, size, content[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _decoded(layout: bytes, body: bytes) -> tuple[int, NDArray[np.float32]]:
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", layout)
    if code == _EXTENSIBLE and len(layout) >= 26:
        (code,) = struct.unpack_from("<H", layout, 24)
    if (code, bits) not in _TYPES or not channels or not rate:
        raise ValueError(f"its samples are compressed, or of an unknown kind (format {code}, {bits} bits)")
    whole = len(body) // (channels * bits // 8) * (channels * bits // 8)
    if not whole:
        raise ValueError("it holds no samples")
    values = np.frombuffer(body[:whole], dtype=_TYPES[code, bits])
    return rate, _scaled(values, bits).reshape(-1, channels)


def _scaled(values: NDArray[Any], bits: int) -> NDArray[np.float32]:
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if bits == 8:
        values = values.astype(np.int16) - 128
    if bits == 24:
        low, middle, high = values.reshape(-1, 3).astype(np.int32).T
        values = low | middle << 8 | (high ^ 0x80) - 0x80 << 16
    scaled: NDArray[np.float32] = (values / 2.0 ** (bits - 1)).astype(np.float32)
    return scaled
