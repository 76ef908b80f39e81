"""L2-SP: decay toward the pretrained weights instead of toward zero (Li et al. 2018, arXiv 1802.01483)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class StartingPointPenalty:
    """strength / 2 · Σ (w − w₀)² over pairs of a trainable parameter and its pretrained value.

    Args:
        pairs: A fresh head is left out by the caller: it has no pretrained value.
        strength: The paper's α; 0.01 to 0.1 are usual.
    """

    def __init__(self, pairs: Iterable[tuple[nn.Parameter, Tensor]], strength: float) -> None:
        self.pairs = [(parameter, start.detach().to(parameter.device)) for parameter, start in pairs]
        self.strength = strength

    def __call__(self) -> Tensor:
        """The penalty as a scalar with gradient."""
        total = torch.zeros((), device=self.pairs[0][0].device if self.pairs else None)
        for parameter, start in self.pairs:
            total = total + (parameter - start).pow(2).sum()
        return 0.5 * self.strength * total
