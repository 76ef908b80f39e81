"""Data in memory: lists of images, paths or arrays, 2-D tables of numbers, and time series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutpoint.data.collected import Collected, few
from cutpoint.data.signals import looks_like_sound
from cutpoint.errors import DataError
from cutpoint.types import Modality

_KINDS_HINT = (
    "Give a list of paths, PIL images or uint8 arrays, a uint8 array (N, H, W) or (N, H, W, 3), a 2-D "
    "array of numbers (examples, features), or time series (examples, channels, values) that are not uint8."
)


def read_arrays(inputs: Any, targets: Any) -> Collected:
    """Rows of data in memory.

    Args:
        inputs: A sequence of paths, PIL images or uint8 arrays; a uint8 array of images (N, H, W[, C]); a 2-D array
            of numbers (N, features), kept as float32 or float64; or time series: an array (N, channels, values) of
            another type than uint8, or a list of arrays (channels, values), or (values,) of different lengths.
        targets: N labels, numbers or lists of labels; or an array (N, labels) of 0 and 1.

    Raises:
        DataError: Inputs of no known kind, another number of targets than of inputs, features that are not
            finite.
    """
    rows, modality = _rows(inputs)
    if len(rows) == 0:
        raise DataError("there are no inputs: the list is empty.", _KINDS_HINT)
    if targets is None:
        raise DataError("there are inputs in memory but no targets.", "Give their labels as targets=….")
    labels = label_list(targets)
    if len(labels) != len(rows):
        raise DataError(
            f"there are {len(rows):,} inputs but {len(labels):,} targets.", "Give one target an input."
        )
    names = [
        str(item) if isinstance(item, str | Path) else f"row {number}" for number, item in enumerate(rows)
    ]
    return Collected(
        source=f"{_WORDS[modality]} in memory",
        modality=modality,
        inputs=[str(Path(item).absolute()) if isinstance(item, str | Path) else item for item in rows],
        labels=labels,
        names=names,
    )


_WORDS: dict[Modality, str] = {"image": "images", "features": "features", "signal": "signals"}


def _rows(inputs: Any) -> tuple[Sequence[Any], Modality]:
    if isinstance(inputs, list | tuple) and _are_signals(inputs):
        return inputs, "signal"
    if isinstance(inputs, list | tuple) and any(
        isinstance(item, str | Path | Image.Image) or (isinstance(item, np.ndarray) and item.ndim > 1)
        for item in inputs
    ):
        return _images(inputs), "image"
    array = _as_array(inputs)
    if array.ndim == 1 and array.dtype.kind in "UO" and not isinstance(inputs, list | tuple) and len(array):
        return _rows(list(inputs))
    if array.ndim in (3, 4) and array.dtype == np.uint8:
        return list(array), "image"
    if array.ndim == 2 and (array.dtype.kind in "fiub"):
        return _features(array), "features"
    if array.ndim == 3 and array.dtype.kind in "fiu":
        return list(array), "signal"
    if array.size == 0:
        return [], "image"
    raise DataError(
        f"inputs of the shape {array.shape} and type {array.dtype} are neither images nor features.",
        _KINDS_HINT,
    )


def _are_signals(inputs: Sequence[Any]) -> bool:
    """Whether most are paths of sounds, or all arrays of numbers but bytes that are no table together."""
    if all(isinstance(item, str | Path) for item in inputs):
        return 2 * sum(looks_like_sound(str(item)) for item in inputs) > len(inputs)
    if not all(isinstance(item, np.ndarray) and item.dtype.kind in "fiu" for item in inputs):
        return False
    if any(item.dtype == np.uint8 or item.ndim not in (1, 2) for item in inputs):
        return False
    return any(item.ndim == 2 for item in inputs) or len({item.shape for item in inputs}) > 1


def _as_array(inputs: Any) -> NDArray[Any]:
    try:
        return np.asarray(inputs)
    except (ValueError, TypeError) as problem:
        raise DataError(f"the inputs form no array: {problem}.", _KINDS_HINT) from problem


def _images(inputs: Sequence[Any]) -> Sequence[Any]:
    for number, item in enumerate(inputs):
        if not isinstance(item, str | Path | Image.Image | np.ndarray):
            raise DataError(f"input {number} is {type(item).__name__}, which is no image.", _KINDS_HINT)
        if isinstance(item, np.ndarray) and item.dtype != np.uint8:
            raise DataError(
                f"input {number} is an array of {item.dtype}, not uint8.",
                "Scale images to 0…255 and convert them with .astype('uint8').",
            )
    return inputs


def _features(array: NDArray[Any]) -> list[NDArray[Any]]:
    values = array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise DataError(
            f"NaN or infinity stands in {few([f'row {row}' for row in wrong])}.",
            "Fill the gaps or remove these rows.",
        )
    return list(values)


def label_list(targets: Any) -> Sequence[Any]:
    """Labels in memory, one a row.

    Raises:
        DataError: An array that is neither (N,) nor (N, labels) of 0 and 1.
    """
    if isinstance(targets, list | tuple):
        return targets
    array = np.asarray(targets)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2):
        raise DataError(
            f"targets have the shape {array.shape}.",
            "Give one label an example, or (examples, labels) of 0 and 1.",
        )
    if array.ndim == 2 and not np.isin(array, (0, 1)).all():
        raise DataError(
            f"targets of the shape {array.shape} hold other values than 0 and 1.",
            "Give one target an example; several measured targets at once are not supported.",
        )
    return list(array)
