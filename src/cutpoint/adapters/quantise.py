"""Holds the linear layers of a frozen network in 4 bits: NormalFloat of QLoRA (Dettmers et al., 2023)."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.targets import is_transposed, plain_layers


def quantise_linears(module: nn.Module) -> None:
    """Replace every linear layer but the head by a bitsandbytes `Linear4bit`, in place.

    Which layers those are does not depend on the cut, so that a saved adapter finds the same base again. Products
    are in bfloat16 on a GPU that has it, else in float32.
    """
    for path, layer in _linears(module).items():
        parent, _, name = path.rpartition(".")
        setattr(module.get_submodule(parent), name, _to_nf4(layer))
    module.is_loaded_in_4bit = True  # type: ignore[assignment]  # peft looks for this name


def copy_for(module: nn.Module, adapter: Adapter | None) -> nn.Module:
    """A copy of the network, for what `adapter` says to be put in.

    Weights that are then held in 4 bits are not copied first, so that the memory never holds them twice: until
    `quantise_linears` they are the given network's own.
    """
    is_coarse = adapter is not None and adapter.base == "nf4"
    layers = _linears(module).values() if is_coarse else ()
    return copy.deepcopy(module, {id(layer.weight): layer.weight for layer in layers})


def quantisable_weights(module: nn.Module) -> int:
    """How many of the network's weights `quantise_linears` would hold in 4 bits."""
    return sum(layer.weight.numel() for layer in _linears(module).values())


def _linears(module: nn.Module) -> dict[str, Any]:
    return {path: layer for path, layer in plain_layers(module).items() if not isinstance(layer, nn.Conv2d)}


def is_quantised(module: nn.Module) -> bool:
    """Whether any layer of the network is held in 4 bits."""
    return any(type(layer).__name__ == "Linear4bit" for layer in module.modules())


def _to_nf4(layer: Any) -> nn.Module:
    from bitsandbytes.nn import Linear4bit, Params4bit

    weight = (layer.weight.T if is_transposed(layer) else layer.weight).detach().contiguous()
    device = weight.device
    outputs, inputs = weight.shape
    with torch.device("meta"):
        quantised = Linear4bit(inputs, outputs, bias=False, quant_type="nf4", compute_dtype=_product(device))
    quantised.weight = Params4bit(weight, requires_grad=False, quant_type="nf4", module=quantised)
    quantised.bias = layer.bias
    # Packing for AVX-512 would rewrite the bytes of a frozen weight at the first prediction.
    quantised.support_avx512bf16_for_cpu = False
    result: nn.Module = quantised.to(device)
    return result.train(layer.training)


def _product(device: torch.device) -> torch.dtype:
    has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if has_bfloat16 else torch.float32
