"""Hand-made numbers of signals: what bands, their course in time and quantiles tell, without any network.

No pretrained backbone here hears sounds or reads series. A row of such numbers is what compact models are trained on
from scratch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, rfft

_FRAME, _STEP = 0.025, 0.010
"""Seconds."""
_SHORTEST_FRAME = 64
"""Samples."""
_CHUNK = 1_024
"""Frames whose spectrum is computed at once."""
_BANDS = 32
_SEGMENTS, _COEFFICIENTS = 8, 12
_RANGE = 80.0
"""Decibels below the loudest band; what is quieter counts as that."""
_QUIET = 40.0
"""Decibels below the loudest frame, from which a frame is a pause."""

SOUND_WIDTH = 3 * _BANDS + _SEGMENTS * _COEFFICIENTS + 5
"""Length of the vector of `sound_numbers`."""

_DEPTH = 4
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

SERIES_WIDTH = 3 * (2**_DEPTH - 1) * len(_QUANTILES)
"""Numbers a channel that `series_numbers` gives."""
SHORTEST_SERIES = 2**_DEPTH
"""Values a channel, so that none of its intervals is empty."""


def sound_numbers(wave: NDArray[np.float32], rate: int, top: float) -> NDArray[np.float32]:
    """Describe a sound by 197 fixed numbers.

    Frames of 25 ms, one every 10 ms under a Hann window, become energies of 32 triangular bands that are evenly spaced
    on the mel scale (Stevens, Volkmann and Newman 1937), in decibels below the loudest of them, so that loudness does
    not matter. In this order:

    - 96: of each band the mean over time, the standard deviation, and that of the differences between frames;
    - 96: the first 12 coefficients of the cepstrum (cosine transform of the bands; Davis and Mermelstein 1980) of 8
      segments of equal length: how the sound goes on, whatever its pace;
    - 5: logarithm of the length in seconds; level in decibels of full scale; crest factor in decibels; zero crossings a
      sample; share of frames that are a pause.

    Args:
        wave: (samples,) values within -1…1, at least one.
        rate: Samples a second.
        top: Hertz where the highest band ends: half of the rate at most.

    Returns:
        float32 (197,), finite, the same for the same samples on every machine up to rounding.
    """
    energies = _band_energies(wave, rate, top)
    loudest = energies.max()
    floor = loudest * 10 ** (-_RANGE / 10)
    bands = 10 * np.log10(np.maximum(energies, floor) / loudest) if loudest > 0 else energies - _RANGE
    segments = np.stack([bands[start:end].mean(axis=0) for start, end in _pieces(len(bands), _SEGMENTS)])
    steps = np.diff(bands, axis=0) if len(bands) > 1 else np.zeros_like(bands)
    parts = [
        bands.mean(axis=0),
        bands.std(axis=0),
        steps.std(axis=0),
        dct(segments, norm="ortho", axis=1)[:, :_COEFFICIENTS].ravel(),
        _loudness(np.asarray(wave, dtype=np.float64), rate, bands.max(axis=1)),
    ]
    return np.concatenate(parts).astype(np.float32)


def series_numbers(series: NDArray[np.floating]) -> NDArray[np.float32]:
    """Describe a time series by 225 fixed numbers a channel.

    Quantiles (5, 25, 50, 75 and 95 %) of intervals, as in QUANT (Dempster, Schmidt and Webb 2024), fewer and shorter:
    of the whole, its halves, quarters and eighths, of three views of a channel: its values, the differences between
    neighbours, and the logarithm of its Fourier amplitudes.

    Args:
        series: (channels, values), finite, at least 16 values.

    Returns:
        float32 (225 channels,). Of series of different lengths, equal shares of their length are compared, and in
        Fourier amplitudes equal shares of the sampling rate.
    """
    values = np.asarray(series, dtype=np.float64)
    centred = values - values.mean(axis=1, keepdims=True)
    amplitudes = np.abs(rfft(centred, axis=1))[:, 1:] / values.shape[1]
    views = (values, np.diff(values, axis=1), np.log(amplitudes + 1e-6))
    parts = [
        np.quantile(_intervals(view, 2**depth), _QUANTILES, axis=2)
        for view in views
        for depth in range(_DEPTH)
    ]
    return (
        np.concatenate([part.transpose(1, 2, 0).reshape(len(values), -1) for part in parts], axis=1)
        .ravel()
        .astype(np.float32)
    )


def _intervals(view: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """(channels, count, values): so many equal intervals; what is left over at the end belongs to none."""
    length = view.shape[1] // count
    return view[:, : count * length].reshape(len(view), count, length)


def _pieces(length: int, count: int) -> list[tuple[int, int]]:
    """Where so many even pieces start and end; of fewer steps than pieces, neighbours share one."""
    edges = np.arange(count + 1) * length / count
    starts = np.floor(edges[:-1]).astype(int)
    return [(start, max(int(end), start + 1)) for start, end in zip(starts.tolist(), edges[1:], strict=True)]


def _band_energies(wave: NDArray[np.float32], rate: int, top: float) -> NDArray[np.float64]:
    """(frames, bands); what is shorter than a frame is padded with silence."""
    size = max(round(_FRAME * rate), _SHORTEST_FRAME)
    padded = np.pad(wave, (0, max(size - len(wave), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: max(round(_STEP * rate), 1)]
    length = 1 << (size - 1).bit_length()
    window, filters = np.hanning(size), _filters(length, rate, top)
    return np.concatenate(
        [
            np.abs(rfft(frames[start : start + _CHUNK] * window, length, axis=1)) ** 2 @ filters
            for start in range(0, len(frames), _CHUNK)
        ]
    )


@lru_cache(maxsize=16)
def _filters(length: int, rate: int, top: float) -> NDArray[np.float64]:
    """(frequencies, bands): triangles that overlap by half, each as high as 1."""
    mel = np.linspace(0.0, 2595 * np.log10(1 + top / 700), _BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    frequencies = np.fft.rfftfreq(length, 1 / rate)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return np.maximum(np.minimum(rising, falling), 0.0)


def _loudness(wave: NDArray[np.float64], rate: int, frames: NDArray[np.float64]) -> NDArray[np.float64]:
    level = np.sqrt(np.mean(wave**2))
    crest = np.abs(wave).max() / level if level > 0 else 1.0
    return np.array(
        [
            np.log10(len(wave) / rate),
            20 * np.log10(level + 1e-5),
            20 * np.log10(crest),
            np.mean(np.signbit(wave[1:]) != np.signbit(wave[:-1])) if len(wave) > 1 else 0.0,
            np.mean(frames < -_QUIET),
        ]
    )
