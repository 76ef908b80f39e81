"""Whether an architecture takes an adapter, and if not, why."""

from __future__ import annotations

from importlib.util import find_spec

from torch import nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.targets import plain_layers, resolve_targets
from cutpoint.adapters.virtual_tokens import takes_no_prefix, takes_no_prompt
from cutpoint.errors import RegimeError


def why_not(module: nn.Module, adapter: Adapter) -> str:
    """Why this network does not take the adapter, as a sentence for users; "" where it does.

    Args:
        module: The network, without adapters.
        adapter: The rank may still be "auto".
    """
    return _missing_library(adapter) or _no_quantisation(module, adapter) or _no_place(module, adapter)


def _missing_library(adapter: Adapter) -> str:
    if adapter.base == "nf4" and find_spec("bitsandbytes") is None:
        return "A base in 4 bits (nf4) needs the library bitsandbytes: pip install cutpoint[nf4]."
    return ""


def _no_quantisation(module: nn.Module, adapter: Adapter) -> str:
    layers = plain_layers(module).values()
    if adapter.base == "nf4" and all(isinstance(layer, nn.Conv2d) for layer in layers):
        return "A base in 4 bits (nf4) needs linear layers, and this network has none outside its head."
    return ""


def _no_place(module: nn.Module, adapter: Adapter) -> str:
    if adapter.kind == "prefix":
        return takes_no_prefix(module)
    if adapter.kind == "prompt":
        return takes_no_prompt(module)
    try:
        resolve_targets(module, adapter, blocks=("",))
    except RegimeError as error:
        if adapter.kind == "bottleneck" and adapter.targets == "auto":
            return "Bottleneck adapters sit behind linear layers, and this network has none: it is convolutional."
        return error.message
    return ""
