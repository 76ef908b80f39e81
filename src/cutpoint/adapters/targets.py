"""Which layers of a network an adapter goes on, by the names that its architecture gives them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.errors import RegimeError

_ATTENTION: dict[str, str] = {
    **dict.fromkeys(("query", "q", "q_lin", "query_proj", "q_proj"), "query"),
    **dict.fromkeys(("key", "k", "k_lin", "key_proj", "k_proj"), "key"),
    **dict.fromkeys(("value", "v", "v_lin", "value_proj", "v_proj"), "value"),
    **dict.fromkeys(("qkv", "Wqkv", "c_attn", "qkv_proj", "query_key_value", "in_proj"), "fused"),
    **dict.fromkeys(("dense", "o", "out_lin", "o_proj", "out_proj", "Wo", "proj", "c_proj"), "output"),
}
"""Last part of a module path inside attention → what the layer does there."""
_FEED_FORWARD = frozenset(
    ("lin2", "fc2", "Wo", "wo", "c_proj", "down_proj", "dense_4h_to_h", "ffn_output", "pwconv2")
)
"""Last part of the path of a feed-forward network's second layer; in BERT's family it is output.dense."""

_ROLES: dict[str, frozenset[str]] = {
    "lora": frozenset({"query", "key", "value", "fused", "output"}),
    "dora": frozenset({"query", "key", "value", "fused", "output"}),
    "ia3": frozenset({"key", "value", "fused", "down"}),
    "bottleneck": frozenset({"output", "down"}),
}
"""Kind → the layers that "auto" means, as in the method's paper; LoRA: all of attention."""


def resolve_targets(module: nn.Module, adapter: Adapter, blocks: Sequence[str]) -> tuple[str, ...]:
    """The module paths of the layers that the adapter goes on.

    Embeddings and heads are never among them, nor are depthwise and grouped convolutions. Where "auto" finds no
    attention and no feed-forward network, it means every convolution and linear layer.

    Args:
        module: The network, without adapters.
        adapter: Of a kind that sits on layers.
        blocks: Module paths below which layers may be taken; "" is the whole network.

    Raises:
        RegimeError: There is no such layer.
    """
    layers = {path: layer for path, layer in plain_layers(module).items() if _is_below(path, blocks)}
    if adapter.kind == "bottleneck" or adapter.targets == "all-linear":
        layers = {path: layer for path, layer in layers.items() if not isinstance(layer, nn.Conv2d)}
    if isinstance(adapter.targets, tuple):
        chosen = [path for path in layers if any(_ends_with(path, end) for end in adapter.targets)]
    elif adapter.targets == "all-linear":
        chosen = list(layers)
    else:
        chosen = [path for path in layers if role(path) in _ROLES[adapter.kind]] or list(layers)
    if not chosen:
        raise RegimeError(
            f"The network has no layer for {adapter.kind} with targets {adapter.targets!r}: plain linear layers and "
            "convolutions without groups are what it goes on.",
            "Choose targets from its module paths, a lower cut, or another adapter.",
        )
    return tuple(chosen)


def role(path: str) -> str | None:
    """What the layer does: "query", "key", "value", "fused" or "output" in attention, "down" for the second layer
    of a feed-forward network, None otherwise."""
    *parents, last = path.split(".")
    inside = any("attn" in parent.lower() or "attention" in parent.lower() for parent in parents[-2:])
    if inside and last in _ATTENTION:
        return _ATTENTION[last]
    is_down = last in _FEED_FORWARD or path.endswith("output.dense")
    return "down" if is_down else None


def plain_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Module path → layer, for the linear layers and ungrouped convolutions that may be adapted or quantised.

    Subclasses are left out, since what they do with their weight (standardise it, pad the input) an update beside
    them would not do; so are layers whose owner reads their weight instead of calling them, and heads.
    """
    heads = _heads(module)
    return {
        path: layer
        for path, layer in module.named_modules()
        if _is_plain(layer) and layer not in heads and not _is_bypassed(module, path)
    }


def is_transposed(layer: nn.Module) -> bool:
    """Whether the layer is GPT-2's linear layer, whose weight is (inputs, outputs)."""
    return type(layer).__name__ == "Conv1D"


def _is_plain(layer: nn.Module) -> bool:
    if type(layer) is nn.Conv2d:
        return layer.groups == 1
    return type(layer) is nn.Linear or type(layer).__name__ == "Linear4bit" or is_transposed(layer)


def _heads(module: nn.Module) -> set[nn.Module]:
    finders = (getattr(module, name, None) for name in ("get_output_embeddings", "get_classifier"))
    found = (finder() for finder in finders if callable(finder))
    return {head for head in found if isinstance(head, nn.Module)}


def _is_bypassed(module: nn.Module, path: str) -> bool:
    """timm's BEiT, EVA and Swin v2 may multiply by `qkv.weight` themselves, to add a bias of their own."""
    parent, _, last = path.rpartition(".")
    owner = module.get_submodule(parent)
    separate = getattr(owner, "qkv_bias_separate", True)
    return last == "qkv" and getattr(owner, "q_bias", None) is not None and not separate


def _is_below(path: str, blocks: Sequence[str]) -> bool:
    return any(block in ("", path) or path.startswith(f"{block}.") for block in blocks)


def _ends_with(path: str, end: str) -> bool:
    return path == end or path.endswith(f".{end}")
