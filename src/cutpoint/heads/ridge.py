"""Ridge regression in closed form, with a bias that is not penalised (Hoerl & Kennard 1970)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def solve(design: Tensor, values: Tensor, strength: float) -> Tensor:
    """Parameters (R, K) that minimise `||values - design @ w||² + ||w||² / strength`.

    Args:
        design: (N, R) float64; its last column is the constant 1 of the bias.
        values: (N, K) float64.
        strength: Inverse penalty.
    """
    return _Ridge.of(design, values).parameters(strength)


def held_out_path(design: Tensor, values: Tensor, folds: Tensor, strengths: Sequence[float]) -> Tensor:
    """Predictions (strengths, N, K) for each row by the fit without its fold; folds (N,) number the folds."""
    result = values.new_empty(len(strengths), *values.shape)
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        fit = _Ridge.of(design[~held], values[~held])
        for number, strength in enumerate(strengths):
            result[number, held] = design[held] @ fit.parameters(strength)
    return result


def path(moments: Moments, strengths: Sequence[float]) -> list[Tensor]:
    """Parameters (R, K) at each inverse penalty, of rows that only their moments are known of."""
    fit = _Ridge(*moments.centred())
    return [fit.parameters(strength) for strength in strengths]


@dataclass(frozen=True)
class Moments:
    """Sums over rows of features near zero: all that a ridge regression needs of them.

    Attributes:
        count: (,) rows.
        features: (D,) their sum.
        values: (K,) of the targets.
        squares: (D, D) of the features' outer products.
        crossed: (D, K) of products of features and targets.
    """

    count: Tensor
    features: Tensor
    values: Tensor
    squares: Tensor
    crossed: Tensor

    @classmethod
    def of(cls, features: Tensor, values: Tensor) -> Moments:
        """Of some rows, (n, D) and (n, K) float64."""
        count = features.new_tensor(len(features))
        return cls(count, features.sum(dim=0), values.sum(dim=0), features.T @ features, features.T @ values)

    @classmethod
    def sum(cls, parts: Iterable[Moments]) -> Moments:
        """Of all parts together."""
        rest = iter(parts)
        total = next(rest)
        for part in rest:
            total = cls(*(mine + own for mine, own in zip(total._parts, part._parts, strict=True)))
        return total

    def without(self, part: Moments) -> Moments:
        """Of the other rows."""
        return Moments(*(mine - own for mine, own in zip(self._parts, part._parts, strict=True)))

    def centred(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Means of features and targets, and squares and products around them."""
        mean, value_mean = self.features / self.count, self.values / self.count
        squares = self.squares - torch.outer(self.features, mean)
        return mean, value_mean, squares, self.crossed - torch.outer(self.features, value_mean)

    @property
    def _parts(self) -> tuple[Tensor, ...]:
        return self.count, self.features, self.values, self.squares, self.crossed


class _Ridge:
    """One decomposition, every strength.

    Args:
        mean: (D,) of the features.
        value_mean: (K,) of the targets.
        squares: (D, D) of the centred features.
        crossed: (D, K) products of centred features and targets.
    """

    def __init__(self, mean: Tensor, value_mean: Tensor, squares: Tensor, crossed: Tensor) -> None:
        self.mean, self.value_mean = mean, value_mean
        energies, self.axes = torch.linalg.eigh(squares)
        self.energies = energies.clamp_min(0.0)
        self.correlation = self.axes.T @ crossed

    @classmethod
    def of(cls, design: Tensor, values: Tensor) -> _Ridge:
        """Of rows; the last column of the design is the constant."""
        mean, value_mean = design[:, :-1].mean(dim=0), values.mean(dim=0)
        centred = design[:, :-1] - mean
        return cls(mean, value_mean, centred.T @ centred, centred.T @ (values - value_mean))

    def parameters(self, strength: float) -> Tensor:
        slopes = self.axes @ (self.correlation / (self.energies + 1 / strength)[:, None])
        return torch.cat([slopes, (self.value_mean - self.mean @ slopes)[None]])
