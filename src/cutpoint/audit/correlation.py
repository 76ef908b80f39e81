"""How alike pictures are, pair by pair, without holding the pixels of all of them as numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.pairs import Rows

_CHUNK_BYTES = 8 << 20
"""Of the pixels of one side of the pairs that are compared at once, in float64."""


def correlations(pixels: Callable[[Rows], NDArray[np.uint8]], left: Rows, right: Rows) -> NDArray[np.float64]:
    """Pearson's correlation of the pixels of each pair, whatever their brightness and contrast.

    Args:
        pixels: Of R rows, (R, pixels).
        left: (P,) rows.
        right: (P,) rows.
    """
    found = [np.zeros(0)]
    width = pixels(left[:1]).shape[1] if len(left) else 1
    size = max(1, _CHUNK_BYTES // (8 * width))
    for start in range(0, len(left), size):
        part = slice(start, start + size)
        sides = [pixels(side[part]).astype(np.float64) for side in (left, right)]
        first, second = (side - side.mean(axis=1, keepdims=True) for side in sides)
        norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        found.append((first * second).sum(axis=1) / np.maximum(norms, 1e-9))
    return np.concatenate(found)
