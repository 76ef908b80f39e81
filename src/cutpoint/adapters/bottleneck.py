"""Bottleneck adapters (Houlsby et al., 2019): a small residual network behind a layer's output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cutpoint.adapters.targets import is_transposed

NAME = "bottleneck_adapter"
"""What the module is called on the layer whose output it changes."""


class Bottleneck(nn.Module):
    """h + up(gelu(down(h))). The second layer starts at zero, so that it starts as exactly the identity.

    Args:
        width: Features of h, its last dimension.
        hidden: Features between the two layers.
        device: Where its float32 parameters lie.
    """

    def __init__(self, width: int, hidden: int, device: torch.device) -> None:
        super().__init__()
        self.down = nn.Linear(width, hidden, device=device)
        self.up = nn.Linear(hidden, width, device=device)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        change: Tensor = self.up(nn.functional.gelu(self.down(hidden.to(self.down.weight.dtype))))
        return hidden + change.to(hidden.dtype)


def add_bottlenecks(module: nn.Module, targets: Sequence[str], hidden: int) -> None:
    """Put one behind each of these linear layers, in place; the module paths of the network stay."""
    for path in targets:
        layer: Any = module.get_submodule(path)
        width = layer.nf if is_transposed(layer) else layer.out_features
        layer.register_module(NAME, Bottleneck(width, hidden, layer.weight.device))
        layer.register_forward_hook(_pass_through)


def _pass_through(layer: nn.Module, _: object, output: Tensor) -> Tensor:
    changed: Tensor = layer.get_submodule(NAME)(output)
    return changed
