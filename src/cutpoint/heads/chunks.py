"""Features that are read a chunk at a time, so that an array on disk need not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.errors import DataError
from cutpoint.heads.modules import constant_as_one, predict_scores
from cutpoint.types import Task

Rows = NDArray[np.int64]

CHUNK_BYTES = 4 << 20
"""Of a chunk in float64."""
_AXES_FROM = 16_384
"""Rows whose principal axes stand for those of all: any axes give the same optimum, good ones in fewer products."""
_WEIGHTED_SHARE = 0.25
"""Rows of length 1 with fewer non-zeros than this are terms that were weighted on purpose. One scale serves all their
columns: each divided by its own deviation, the rarest terms would become the loudest (which costs TF-IDF on banking77
three points of accuracy)."""
_UNIT_ROWS = 1e-3


class Features(Protocol):
    """What features may be: (N, D) numbers that give some rows when asked, as arrays and memory maps do."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


class Chosen:
    """Some rows of an array, read when they are asked for.

    Args:
        array: (N, D), perhaps memory-mapped.
        rows: Which of them, in order.
    """

    def __init__(self, array: Features, rows: Rows) -> None:
        self.array, self.rows = array, rows

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.array.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any, /) -> Any:
        return self.array[self.rows[rows]]


class Stacked:
    """Rows of several float32 arrays (N, D), one array after the other, read when they are asked for by number."""

    def __init__(self, *arrays: Features) -> None:
        self.arrays = arrays
        self.starts = np.cumsum([0, *map(len, arrays)])

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.arrays[0].shape[1:])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, rows: Rows, /) -> Any:
        found = np.empty((len(rows), *self.shape[1:]), dtype=np.float32)
        for array, start in zip(self.arrays, self.starts[:-1], strict=True):
            own = (rows >= start) & (rows < start + len(array))
            found[own] = array[rows[own] - start]
        return found


def as_array(features: Tensor | Features) -> Features:
    """Tensors as arrays; what is read as needed stays as it is."""
    if not isinstance(features, Tensor):
        return features if hasattr(features, "shape") else np.asarray(features)
    # numpy knows no bfloat16.
    return (features.float() if features.dtype.itemsize < 4 else features).detach().cpu().numpy()


def chunks(features: Features, rows: Rows) -> Iterator[tuple[Rows, NDArray[Any]]]:
    """(numbers of rows, those rows) until all were there."""
    size = max(1, CHUNK_BYTES // (8 * max(1, features.shape[1])))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        yield part, np.asarray(features[part])


def predict_rows(head: nn.Module, task: Task, features: Features) -> NDArray[np.float32]:
    """(N, outputs) what the user sees of features (N, width), read chunk by chunk."""
    with torch.inference_mode():
        parts = [
            predict_scores(task, head(torch.from_numpy(chunk).float())).numpy()
            for _, chunk in chunks(features, np.arange(len(features)))
        ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class Look:
    """What one pass over features tells.

    Attributes:
        filled: Share of them that is not zero.
        is_weighted: Whether they are terms that were weighted on purpose.
    """

    filled: float
    is_weighted: bool


def look_at(features: Features) -> Look:
    """One pass over all rows.

    Raises:
        DataError: Values that are not finite.
    """
    filled, is_unit = 0, True
    for _, chunk in chunks(features, np.arange(len(features))):
        if not np.isfinite(chunk).all():
            raise DataError(
                "The features hold values that are not finite.",
                "Look for inputs that are damaged, or a backbone that overflows in half precision.",
            )
        filled += int(np.count_nonzero(chunk))
        lengths = np.sqrt(np.einsum("nd,nd->n", chunk, chunk, dtype=np.float64))
        is_unit &= bool((np.abs(lengths[lengths > 0] - 1) < _UNIT_ROWS).all())
    share = filled / max(features.shape[0] * features.shape[1], 1)
    return Look(share, is_unit and share < _WEIGHTED_SHARE)


@dataclass(frozen=True)
class Scaling:
    """What standardises features, and the axes on which a solver works.

    Attributes:
        mean: (D,) float64.
        scale: (D,) float64.
        axes: (D, D) float64, orthonormal: (nearly) the principal axes of the standardised features.
        squares: (D + 1,) float32: mean square of the features on each axis, and 1 for the bias.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    squares: Tensor

    def standardised(self, chunk: NDArray[Any], dtype: torch.dtype) -> Tensor:
        """A chunk (n, D) of raw features, shifted and scaled."""
        values = torch.empty(chunk.shape, dtype=dtype)
        torch.sub(torch.from_numpy(chunk), self.mean.to(dtype), out=values)
        return values.div_(self.scale.to(dtype))

    def lifted(self, parameters: Tensor) -> Tensor:
        """Parameters (D + 1, …) on the axes → on standardised features."""
        slopes = self.axes.to(parameters.dtype) @ parameters[:-1].flatten(1)
        return torch.cat([slopes.view_as(parameters[:-1]), parameters[-1:]])

    def lowered(self, correlations: Tensor) -> Tensor:
        """Correlations (D + 1, …) with standardised features → with those on the axes."""
        turned = self.axes.T.to(correlations.dtype) @ correlations[:-1].flatten(1)
        return torch.cat([turned.view_as(correlations[:-1]), correlations[-1:]])

    def raw(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters (D + 1, K) as weight (D, K) and bias (K,) on raw features."""
        weight = self.lifted(parameters)[:-1] / self.scale[:, None]
        return weight, parameters[-1] - self.mean @ weight


def moments(features: Features) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column, (D,) float64, in two passes over the rows."""
    everything = np.arange(len(features))
    count, width = features.shape
    total = torch.zeros(2, width, dtype=torch.float64)
    for _, chunk in chunks(features, everything):
        total[0] += torch.from_numpy(chunk).double().sum(dim=0)
    mean = total[0] / count
    for _, chunk in chunks(features, everything):
        total[1] += (torch.from_numpy(chunk).double() - mean).square_().sum(dim=0)
    return mean, (total[1] / count).sqrt()


def scaling_of(features: Features) -> Scaling:
    """Mean, scale and axes in a few passes over the rows.

    Raises:
        DataError: Values that are not finite.
    """
    look = look_at(features)
    centre, deviation = moments(features)
    if look.is_weighted:
        scale = constant_as_one(centre.norm(), deviation.square().mean().sqrt()).expand_as(deviation)
    else:
        scale = constant_as_one(centre, deviation)
    return _with_axes(features, centre, scale)


def _with_axes(features: Features, mean: Tensor, scale: Tensor) -> Scaling:
    width = len(mean)
    plain = Scaling(mean, scale, torch.eye(width, dtype=torch.float64), torch.ones(width + 1))
    drawn = np.linspace(0, len(features) - 1, min(len(features), _AXES_FROM)).astype(np.int64)
    gram = mean.new_zeros(width, width)
    for _, chunk in chunks(features, drawn):
        values = plain.standardised(chunk, torch.float64)
        gram += values.T @ values
    energies, axes = torch.linalg.eigh(gram / len(drawn))
    squares = torch.cat([energies.clamp_min(0), energies.new_ones(1)]).float()
    return Scaling(mean, scale, axes, squares)
