"""Takes an adapter into the weights, so that the network is plain again and as fast as before."""

from __future__ import annotations

from typing import Any

from torch import nn

from cutpoint.adapters.bottleneck import NAME as BOTTLENECK
from cutpoint.adapters.quantise import is_quantised
from cutpoint.adapters.virtual_tokens import NAME as VIRTUAL_TOKENS
from cutpoint.errors import ArtifactError


def merge(module: nn.Module) -> None:
    """Merge LoRA, DoRA or IA3 into the layers that they sit on, in place.

    Afterwards the network has its plain layers again, and puts out the same to about 1e-5.

    Raises:
        ArtifactError: The adapter cannot be merged, or the base is held in 4 bits.
    """
    _check(module)
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: dict[str, Any] = {
        path: layer for path, layer in module.named_modules() if isinstance(layer, BaseTunerLayer)
    }
    if not layers:
        raise ArtifactError("The network has no adapter that could be merged.")
    for path, layer in layers.items():
        layer.merge(safe_merge=True)
        parent, _, name = path.rpartition(".")
        setattr(module.get_submodule(parent), name, layer.get_base_layer())
    del module.peft_config


def _check(module: nn.Module) -> None:
    names = {name for path, _ in module.named_modules() for name in path.split(".")}
    if BOTTLENECK in names or VIRTUAL_TOKENS in names:
        raise ArtifactError(
            "Bottleneck adapters and virtual tokens cannot be merged: they are steps of their own, not updates of "
            "weights.",
            "Keep the adapter beside the network, or train LoRA, DoRA or IA3.",
        )
    if is_quantised(module):
        raise ArtifactError(
            "The base is held in 4 bits: rounding the merged weights to 4 bits again would move the outputs.",
            "Load the adapter on the full-precision base and merge there; outputs then differ from those in training "
            "by what the 4 bits had lost.",
        )
