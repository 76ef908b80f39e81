"""Scaled features as the solvers see them: products with them, and the way back to raw features.

Two forms of the same matrix. Most features are turned onto their principal axes, where few products solve a
problem. Wide features that are nearly all zeros (TF-IDF) stay as they are: turning them would cost minutes and
make them dense, and as they are a product costs next to nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cutpoint.heads.chunks import Features, Look, as_array, chunks, look_at
from cutpoint.heads.modules import ROWS_AT_ONCE, constant_as_one, standardisation

_SPARSE_SHARE = 0.1
"""Features count as sparse where less than this share of them is not zero, …"""
_SPARSE_SIZE = 1000
"""… in more rows and columns than this: less is turned within a second."""
_COLUMNS_AT_ONCE = 16
"""Of a matrix whose rows are put into another order: what is copied on the way."""


class Matrix(ABC):
    """N rows by R columns, the last of which is the constant 1 of the bias.

    Products are made in the precision of what they are given, float64 or float32: search directions need no more
    than float32, and cost half.
    """

    def values(self, parameters: Tensor) -> Tensor:
        """(R, …) → (N, …), one matrix product for all that is stacked."""
        return self._times(parameters.flatten(1)).view(-1, *parameters.shape[1:])

    def correlations(self, residuals: Tensor) -> Tensor:
        """(N, …) → (R, …), the product with the transpose."""
        return self._transposed_times(residuals.flatten(1)).view(-1, *residuals.shape[1:])

    @abstractmethod
    def _times(self, right: Tensor) -> Tensor: ...

    @abstractmethod
    def _transposed_times(self, right: Tensor) -> Tensor: ...


class Design(Matrix):
    """All rows, in memory.

    Attributes:
        columns: R, with the constant.
    """

    columns: int

    @abstractmethod
    def diagonal(self, curvature: Tensor) -> Tensor:
        """What (nearly) stands on the diagonal of designᵀ · diag(curvature) · design: (N, S, K) → (R, S, K)."""

    @abstractmethod
    def rows(self, chosen: Tensor | slice) -> Design:
        """Those rows alone, by a mask (N,); a dense design shares a slice of its rows instead of copying them."""

    @abstractmethod
    def reorder(self, order: Tensor) -> None:
        """Put the rows into another order (N,), where they are."""

    @abstractmethod
    def raw(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters (R, K) as weight (D, K) and bias (K,) on raw features."""


def design_of(features: Tensor | Features, *, dense: bool = False) -> Design:
    """The form that suits the features (N, D).

    Args:
        features: Raw, float.
        dense: Never sparse, for a solver that needs `DenseDesign`.

    Raises:
        DataError: They are not finite.
    """
    given = as_array(features)
    look = look_at(given)
    if not dense and is_sparse(given, look):
        return SparseDesign.of(given, look.is_weighted)
    return DenseDesign.of(given, look.is_weighted)


def is_sparse(features: Features, look: Look) -> bool:
    """Whether products with the zeros left out are cheaper than turned features."""
    return min(features.shape) > _SPARSE_SIZE and look.filled < _SPARSE_SHARE


def _common(mean: Tensor, deviation: Tensor) -> Tensor:
    """One deviation for all columns, such that their mean variance becomes 1."""
    return constant_as_one(mean.norm(), deviation.square().mean().sqrt()).expand_as(deviation)


class DenseDesign(Design):
    """On orthogonal columns: the Hessian is close to diagonal, and its diagonal a good preconditioner."""

    def __init__(
        self, matrix: Tensor, axes: Tensor, mean: Tensor, scale: Tensor, rounded: Tensor | None = None
    ) -> None:
        self.matrix, self.rounded = matrix, matrix.float() if rounded is None else rounded
        self.axes, self.mean, self.scale = axes, mean, scale
        self.columns = matrix.shape[1]
        self._squares = self.rounded.square().mean(dim=0)[:, None, None]

    @classmethod
    def of(cls, raw: Features, weighted: bool) -> DenseDesign:
        """From (N, D)."""
        # Of many rows every copy counts: they are read into the matrix that is then scaled and turned where it is.
        matrix = torch.ones(raw.shape[0], raw.shape[1] + 1, dtype=torch.float64)
        values = matrix[:, :-1]
        for rows, chunk in chunks(raw, np.arange(len(raw))):
            values[rows[0] : rows[-1] + 1] = torch.from_numpy(chunk)
        mean, scale = standardisation(values)
        if weighted:
            scale = _common(mean, values.std(dim=0, correction=0))
        values.sub_(mean).div_(scale)
        return cls(*_principal(matrix), mean, scale)

    def diagonal(self, curvature: Tensor) -> Tensor:
        return self._squares * curvature.sum(dim=0)

    def rows(self, chosen: Tensor | slice) -> DenseDesign:
        parts = self.matrix[chosen], self.rounded[chosen]
        return DenseDesign(parts[0], self.axes, self.mean, self.scale, parts[1])

    def reorder(self, order: Tensor) -> None:
        for values in (self.matrix, self.rounded):
            for part in torch.split(values, _COLUMNS_AT_ONCE, dim=1):
                part.copy_(part[order])

    def raw(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        weight = (self.axes @ parameters[:-1]) / self.scale[:, None]
        return weight, parameters[-1] - self.mean @ weight

    def _matrix_for(self, right: Tensor) -> Tensor:
        return self.rounded if right.dtype == torch.float32 else self.matrix

    def _times(self, right: Tensor) -> Tensor:
        return self._matrix_for(right) @ right

    def _transposed_times(self, right: Tensor) -> Tensor:
        return self._matrix_for(right).T @ right


class SparseDesign(Design):
    """Scaled but not shifted: the means, which would fill the zeros, are a product of two vectors on the side.

    Args:
        scaled: scipy csr (N, D), float64: features over their deviations.
        shift: (D,) means over deviations.
        scale: (D,) deviations.
    """

    def __init__(self, scaled: Any, shift: Tensor, scale: Tensor) -> None:
        self.shift, self.scale = shift, scale
        self.columns = len(shift) + 1
        self._hold(scaled)

    def _hold(self, scaled: Any) -> None:
        transposed = scaled.T.tocsr()
        self._matrices = {
            torch.float64: (scaled, transposed),
            torch.float32: (scaled.astype(np.float32), transposed.astype(np.float32)),
        }
        self._squares = transposed.astype(np.float32).power(2)

    @classmethod
    def of(cls, raw: Features, weighted: bool) -> SparseDesign:
        """From (N, D), most of it zeros."""
        from scipy.sparse import csr_array, vstack

        parts = [csr_array(chunk) for _, chunk in chunks(raw, np.arange(len(raw)))]
        matrix = vstack(parts, format="csr").astype(np.float64)
        mean = torch.from_numpy(np.asarray(matrix.mean(axis=0)))
        squares = torch.from_numpy(np.asarray(matrix.power(2).mean(axis=0)))
        deviation = (squares - mean.square()).clamp_min(0).sqrt()
        scale = (_common if weighted else constant_as_one)(mean, deviation)
        return cls(matrix.multiply(1 / scale.numpy()).tocsr(), mean / scale, scale)

    def diagonal(self, curvature: Tensor) -> Tensor:
        flat = curvature.flatten(1)
        total, shift = flat.sum(dim=0), self.shift.to(flat.dtype)[:, None]
        squares = torch.from_numpy(self._squares @ flat.numpy())
        crossed = torch.from_numpy(self._matrices[flat.dtype][1] @ flat.numpy())
        slopes = (squares - 2 * shift * crossed + shift.square() * total).clamp_min(0)
        return torch.cat([slopes, total[None]]).view(-1, *curvature.shape[1:])

    def rows(self, chosen: Tensor | slice) -> SparseDesign:
        which = chosen if isinstance(chosen, slice) else chosen.numpy()
        return SparseDesign(self._matrices[torch.float64][0][which], self.shift, self.scale)

    def reorder(self, order: Tensor) -> None:
        self._hold(self._matrices[torch.float64][0][order.numpy()])

    def raw(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        weight = parameters[:-1] / self.scale[:, None]
        return weight, parameters[-1] - self.shift @ parameters[:-1]

    def _times(self, right: Tensor) -> Tensor:
        slopes, bias = right[:-1], right[-1]
        product = torch.from_numpy(self._matrices[right.dtype][0] @ slopes.numpy())
        return product.add_(bias - self.shift.to(right.dtype) @ slopes)

    def _transposed_times(self, right: Tensor) -> Tensor:
        total = right.sum(dim=0)
        product = torch.from_numpy(self._matrices[right.dtype][1] @ right.contiguous().numpy())
        product.sub_(self.shift.to(right.dtype)[:, None] * total)
        return torch.cat([product, total[None]])


def _principal(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Rows on their principal axes and the constant (N, R + 1), and the axes (D, R).

    Exact for every model with an L2 penalty: the axes are orthonormal and span all rows.

    Args:
        matrix: Standardised rows and the constant (N, D + 1); turned where they are, if they are no wider than long.
    """
    values = matrix[:, :-1]
    rows, width = values.shape
    if width > rows:
        energies, left = torch.linalg.eigh(values @ values.T)
        kept = energies > 1e-12 * energies[-1].clamp_min(torch.finfo(torch.float64).tiny)
        axes = values.T @ (left[:, kept] / energies[kept].sqrt())
        return torch.cat([values @ axes, matrix[:, -1:]], dim=1), axes
    axes = torch.linalg.eigh(values.T @ values).eigenvectors
    for part in torch.split(values, ROWS_AT_ONCE):
        part.copy_(part @ axes)
    return matrix, axes
