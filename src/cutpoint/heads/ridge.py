"""Ridge regression in closed form, with a bias that is not penalised (Hoerl & Kennard 1970)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def solve(design: Tensor, values: Tensor, strength: float) -> Tensor:
    """Parameters (R, K) that minimise `||values - design @ w||² + ||w||² / strength`.

    Args:
        design: (N, R) float64; its last column is the constant 1 of the bias.
        values: (N, K) float64.
        strength: Inverse penalty.
    """
    return _Ridge(design, values).parameters(strength)


def held_out_path(design: Tensor, values: Tensor, folds: Tensor, strengths: Sequence[float]) -> Tensor:
    """Predictions (strengths, N, K) for each row by the fit without its fold; folds (N,) number the folds."""
    result = values.new_empty(len(strengths), *values.shape)
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        fit = _Ridge(design[~held], values[~held])
        for number, strength in enumerate(strengths):
            result[number, held] = design[held] @ fit.parameters(strength)
    return result


class _Ridge:
    """One decomposition, every strength."""

    def __init__(self, design: Tensor, values: Tensor) -> None:
        self.mean = design[:, :-1].mean(dim=0)
        self.value_mean = values.mean(dim=0)
        centred = design[:, :-1] - self.mean
        energies, self.axes = torch.linalg.eigh(centred.T @ centred)
        self.energies = energies.clamp_min(0.0)
        self.correlation = self.axes.T @ (centred.T @ (values - self.value_mean))

    def parameters(self, strength: float) -> Tensor:
        slopes = self.axes @ (self.correlation / (self.energies + 1 / strength)[:, None])
        return torch.cat([slopes, (self.value_mean - self.mean @ slopes)[None]])
