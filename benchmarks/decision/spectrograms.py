"""Spoken digits as pictures: log-power spectrograms, frequency upwards, time to the right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import wavfile
from scipy.signal import spectrogram

_WINDOW = 256
"""Samples: 32 ms at 8 kHz."""
_STEP = 64
_FLOOR = -80.0
"""Decibels below the loudest point; what is quieter is black."""


def write_spectrograms(source: Path, folder: Path, size: int) -> Path:
    """Write SPLIT/CLASS/NAME.png for every SPLIT/CLASS/NAME.wav, once.

    Args:
        source: Sounds by split and class.
        folder: Where the pictures go.
        size: Their width and height in pixels.
    """
    done = folder / "done"
    if done.exists():
        return folder
    for path in sorted(source.glob("*/*/*.wav")):
        target = folder / path.relative_to(source).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        rate, samples = wavfile.read(path)
        picture = Image.fromarray(_levels(samples.astype(np.float32), rate))
        picture.resize((size, size), Image.Resampling.BILINEAR).convert("RGB").save(target)
    done.touch()
    return folder


def _levels(samples: NDArray[np.float32], rate: int) -> NDArray[np.uint8]:
    """uint8 (frequencies, times); sounds shorter than a window are padded with silence."""
    samples = np.pad(samples, (0, max(_WINDOW - len(samples), 0)))
    _, _, power = spectrogram(samples, rate, nperseg=_WINDOW, noverlap=_WINDOW - _STEP)
    decibels = 10 * np.log10(power / max(power.max(), 1e-12) + 1e-12)
    shown = np.clip(1 - decibels / _FLOOR, 0, 1)
    return np.asarray(255 * shown[::-1], dtype=np.uint8)
