"""Puts an adapter into a network, in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.bottleneck import NAME as BOTTLENECK
from cutpoint.adapters.bottleneck import add_bottlenecks
from cutpoint.adapters.peft_config import ADAPTER_NAME, ia3_config, low_rank_config
from cutpoint.adapters.quantise import quantise_linears
from cutpoint.adapters.support import why_not
from cutpoint.adapters.targets import resolve_targets
from cutpoint.adapters.virtual_tokens import NAME as VIRTUAL_TOKENS
from cutpoint.adapters.virtual_tokens import add_virtual_tokens
from cutpoint.errors import RegimeError

_PARTS = frozenset(
    ("lora_A", "lora_B", "lora_magnitude_vector", "ia3_l", BOTTLENECK, VIRTUAL_TOKENS),
)
"""Parts of a parameter's path that only adapters have."""


def inject(module: nn.Module, adapter: Adapter, blocks: Sequence[str]) -> None:
    """Put the adapter into the network, in place; what the network computes stays the same, except that virtual
    tokens (prefix and prompt) change it from the start and that a 4-bit base is coarser.

    The module paths of the network stay; a layer with LoRA, DoRA or IA3 keeps its own weight one step further down,
    in `base_layer`. New parameters are drawn from torch's current random state.

    Args:
        module: A network without an adapter. Afterwards only the adapter's parameters require gradients, unless it
            is virtual tokens or a bottleneck: the caller freezes the rest, by `is_adapter_parameter`.
        adapter: Its rank a number.
        blocks: Module paths below which it goes, such as the members of the blocks above a cut; virtual tokens
            enter at the input whatever the cut.

    Raises:
        RegimeError: The architecture does not take this adapter (`why_not`), or has no such layer below `blocks`.
    """
    reason = why_not(module, adapter)
    if reason:
        raise RegimeError(reason, "Choose another adapter for this backbone.")
    if adapter.base == "nf4":
        quantise_linears(module)
    if adapter.is_virtual:
        add_virtual_tokens(module, adapter)
        return
    targets = resolve_targets(module, adapter, blocks)
    if adapter.kind == "bottleneck":
        add_bottlenecks(module, targets, adapter.size)
    elif adapter.kind == "ia3":
        inject_peft(module, ia3_config(module, targets))
    else:
        inject_peft(module, low_rank_config(module, adapter, targets))


def inject_peft(module: nn.Module, config: Any) -> None:
    """Put in the layers that peft's configuration names; each is in the mode of the layer that it sits on."""
    from peft import inject_adapter_in_model
    from peft.tuners.tuners_utils import BaseTunerLayer

    inject_adapter_in_model(config, module, ADAPTER_NAME)
    layers: list[Any] = [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]
    for layer in layers:
        layer.train(layer.get_base_layer().training)


def is_adapter_parameter(name: str) -> bool:
    """Whether a parameter of that path belongs to an adapter, of whatever kind."""
    return not _PARTS.isdisjoint(name.split("."))
