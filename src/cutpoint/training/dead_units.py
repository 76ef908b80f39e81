"""Units of a network that say nothing, as seen by a head that will be trained on with it."""

from __future__ import annotations

from torch import Tensor

from cutpoint.regimes.recipe import Recipe
from cutpoint.training.state import FitData

_SHARE = 1e-6
"""Of the deviation of the liveliest unit: less is what float32 leaves of sums of its size."""


def hold_still(features: Tensor, recipe: Recipe, data: FitData) -> Tensor:
    """Features (N, width) with those of dead units at their mean, so that a head gives them no weight.

    A head divides what it sees by its deviation. A unit that is dead in the pretrained network (its values are 1e-33,
    say) would weigh more than all others together as soon as fine-tuning stirs it. Where the whole backbone stays
    frozen, nothing does; and columns of plain features may be of any size.
    """
    if recipe.cut == len(data.bank.backbone.blocks):
        return features
    deviation, mean = features.std(dim=0, correction=0), features.mean(dim=0)
    return features.where(deviation > _SHARE * deviation.max(), mean)
