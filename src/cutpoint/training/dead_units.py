"""Units of a network that say nothing, as seen by a head that will be trained on with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.heads.chunks import Features, moments
from cutpoint.regimes.recipe import Recipe
from cutpoint.training.state import FitData

_SHARE = 1e-6
"""Of the deviation of the liveliest unit: less is what float32 leaves of sums of its size."""


def hold_still(features: Features, recipe: Recipe, data: FitData) -> Features:
    """Features (N, width) with those of dead units at their mean, so that a head gives them no weight.

    A head divides what it sees by its deviation. A unit that is dead in the pretrained network (its values are 1e-33,
    say) would weigh more than all others together as soon as fine-tuning stirs it. Where the whole backbone stays
    frozen, nothing does; and columns of plain features may be of any size.
    """
    if recipe.cut == len(data.bank.backbone.blocks):
        return features
    mean, deviation = (each.numpy() for each in moments(features))
    is_alive = deviation > _SHARE * deviation.max()
    return features if is_alive.all() else _Stilled(features, is_alive, mean)


class _Stilled:
    """Features whose dead columns are their means; read when they are asked for, as the others."""

    def __init__(self, features: Features, is_alive: NDArray[np.bool_], mean: NDArray[np.float64]) -> None:
        self.features, self.is_alive, self.mean = features, is_alive, mean.astype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.features.shape

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Any, /) -> Any:
        return np.where(self.is_alive, self.features[rows], self.mean)
