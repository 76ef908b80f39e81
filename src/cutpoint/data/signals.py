"""Sounds in files and time series in memory: one way to open either."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from cutpoint.data.images import reason_of
from cutpoint.data.signal_numbers import SHORTEST_SERIES
from cutpoint.data.wave_files import samples_of
from cutpoint.errors import DataError

SOUND_SUFFIXES = frozenset({".wav", ".wave"})
"""Files with these endings (in any case) are taken as sounds."""
_OTHER_SUFFIXES = frozenset({".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aiff", ".aif", ".wma"})


@dataclass(frozen=True)
class Signal:
    """A sound or a series.

    Attributes:
        values: float32 (channels, values). Of sounds one channel, the mean of those in the file, within -1…1.
        rate: Values a second; None of a series in memory.
    """

    values: NDArray[np.float32]
    rate: int | None = None

    @property
    def key(self) -> str:
        """Content hash: files that differ in their headers alone have the same."""
        digest = xxhash.xxh3_128(f"{self.values.shape}{self.rate}".encode())
        digest.update(np.ascontiguousarray(self.values).tobytes())
        return digest.hexdigest()


def looks_like_sound(value: Any) -> bool:
    """Whether a value is the path of a sound, by its ending."""
    return isinstance(value, str) and PurePath(value.strip()).suffix.lower() in SOUND_SUFFIXES


def open_signal(source: Any) -> Signal:
    """Open a .wav file (PCM of 8 to 32 bits, or reals), or an array (values,) or (channels, values).

    Raises:
        DataError: The source cannot be read; the message names the file.
    """
    try:
        return read_signal(source)
    except (OSError, ValueError) as problem:
        name = str(source) if isinstance(source, str | Path) else "an array"
        raise DataError(
            f"{name} cannot be read as a signal: {reason_of(problem)}.", "Repair, replace or remove it."
        ) from problem


def read_signal(source: Any) -> Signal:
    """The same; what is wrong is told in a few words without the name of the file.

    Raises:
        OSError: The file cannot be had.
        ValueError: What is in it cannot be used.
    """
    if source is None:
        raise ValueError("no path is given")
    return _sound(Path(source).read_bytes()) if isinstance(source, str | Path) else _series(source)


def refuse_other_sounds(source: object, names: Iterable[object]) -> None:
    """Raise where most of the files are sounds of a format that is not read.

    Args:
        source: The data as the user named them.
        names: Files, or None.

    Raises:
        DataError: They are.
    """
    files = [PurePath(str(name)) for name in names if name]
    sounds = [file for file in files if file.suffix.lower() in _OTHER_SUFFIXES]
    if 2 * len(sounds) > len(files):
        raise DataError(
            f"{source} holds sounds ({len(sounds):,}, such as {min(sounds).name}) in a format that is not read.",
            "Convert them to .wav, for instance: ffmpeg -i SOUND.mp3 SOUND.wav",
        )


def _sound(content: bytes) -> Signal:
    rate, samples = samples_of(content)
    return Signal(_finite(samples.mean(axis=1, dtype=np.float32)[None]), rate)


def _series(source: Any) -> Signal:
    values = np.atleast_2d(np.asarray(source, dtype=np.float32))
    if values.ndim != 2:
        raise ValueError(f"its shape is {values.shape}, not (values,) or (channels, values)")
    if values.shape[1] < SHORTEST_SERIES:
        raise ValueError(f"it has {values.shape[1]:,} values, fewer than {SHORTEST_SERIES}")
    return Signal(_finite(values))


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise ValueError("NaN or infinity stands in it")
    return values
