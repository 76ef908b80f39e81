"""Hand-made image statistics: what colour, tone and edges alone can tell, without any network.

A linear head on them is a cheap, honest rival of a pretrained backbone. Size, aspect ratio, file name and
compression are left out on purpose: they would be shortcuts to how the data were gathered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutpoint.data.images import open_image
from cutpoint.data.reduced import reduced
from cutpoint.types import Decoding

_SIDE = 64
_HISTOGRAM_BINS = 16
_THUMBNAIL_SIDE = 8
_GRID = 4
_ORIENTATIONS = 9

STATISTICS_WIDTH = 3 * _HISTOGRAM_BINS + 9 + _THUMBNAIL_SIDE**2 + _GRID**2 * _ORIENTATIONS + 4
"""Length of the vector of `image_statistics`."""

# A gradient below this (grey values in 0…1, per pixel) is flat: its orientation is noise.
_FLAT = 0.02


def image_statistics(source: Any, decoding: Decoding = "full") -> NDArray[np.float32]:
    """Describe an image by 269 fixed numbers, each within about -1…1.

    The image is opened by `open_image`, then squeezed to 64 × 64 pixels. In this order:

    - 48: histograms of red, green and blue, 16 bins each, as shares of the pixels;
    - 9: mean, standard deviation and cube root of the third central moment of red, green and blue (colour
      moments: Stricker and Orengo 1995), values in 0…1;
    - 64: grey values of an 8 × 8 thumbnail less their mean;
    - 144: histograms of oriented gradients (Dalal and Triggs 2005) on a grid of 4 × 4 cells, 9 unsigned
      orientations, weighted by magnitude, each cell scaled to a length of nearly 1 (flat ones to less);
    - 4: mean and standard deviation of the gradient's magnitude; standard deviation of the Laplacian; the
      share of flat pixels.

    Args:
        source: What `open_image` takes.
        decoding: Of a file; "reduced" moves the numbers of large JPEGs by .1 at most, by .01 in the mean (see
            `cutpoint.data.reduced`).

    Returns:
        float32 (269,), the same for the same pixels on every machine up to rounding.
    """
    small = open_image(source, reduce=_reduced if decoding == "reduced" else None)
    small = small.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    colour = np.asarray(small, dtype=np.float64) / 255.0
    grey = colour @ np.array([0.299, 0.587, 0.114])
    down, right = np.gradient(grey)
    magnitude = np.hypot(down, right)
    parts = [
        _histograms(colour),
        _moments(colour),
        _thumbnail(grey),
        _oriented_gradients(down, right, magnitude),
        _roughness(grey, magnitude),
    ]
    return np.concatenate(parts).astype(np.float32)


def _reduced(image: Image.Image) -> Image.Image:
    return reduced(image, lambda _: (_SIDE, _SIDE), Image.Resampling.BOX)


def _histograms(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    bins = np.minimum((colour * _HISTOGRAM_BINS).astype(np.int64), _HISTOGRAM_BINS - 1).reshape(-1, 3)
    counts = [np.bincount(bins[:, channel], minlength=_HISTOGRAM_BINS) for channel in range(3)]
    return np.concatenate(counts) / len(bins)


def _moments(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    pixels = colour.reshape(-1, 3)
    mean = pixels.mean(axis=0)
    third = ((pixels - mean) ** 3).mean(axis=0)
    return np.concatenate([mean, pixels.std(axis=0), np.cbrt(third)])


def _thumbnail(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    side = _SIDE // _THUMBNAIL_SIDE
    coarse = grey.reshape(_THUMBNAIL_SIDE, side, _THUMBNAIL_SIDE, side).mean(axis=(1, 3))
    return np.asarray((coarse - coarse.mean()).ravel())


def _oriented_gradients(
    down: NDArray[np.float64], right: NDArray[np.float64], magnitude: NDArray[np.float64]
) -> NDArray[np.float64]:
    angle = np.mod(np.arctan2(down, right), np.pi)
    orientation = np.minimum((angle / np.pi * _ORIENTATIONS).astype(np.int64), _ORIENTATIONS - 1)
    cell = np.arange(_SIDE) * _GRID // _SIDE
    index = (cell[:, None] * _GRID + cell[None, :]) * _ORIENTATIONS + orientation
    summed = np.bincount(index.ravel(), magnitude.ravel(), minlength=_GRID**2 * _ORIENTATIONS)
    cells = summed.reshape(_GRID**2, _ORIENTATIONS)
    length = np.linalg.norm(cells, axis=1, keepdims=True)
    pixels_in_cell = (_SIDE // _GRID) ** 2
    return np.asarray((cells / (length + _FLAT * pixels_in_cell)).ravel())


def _roughness(grey: NDArray[np.float64], magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    centre = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * centre
    return np.array([magnitude.mean(), magnitude.std(), laplacian.std(), (magnitude < _FLAT).mean()])
