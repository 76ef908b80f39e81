"""Which parameters of a transformers model make a block, and in which order the blocks run."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from cutpoint.backbones.backbone import Block
from cutpoint.backbones.order import Calls, at_or_below, maximal_parts, watch_calls
from cutpoint.errors import BackboneError


def image_groups(module: nn.Module) -> list[tuple[str, list[str]]]:
    """Parameters by block: one for each entry of the lists of layers, one for each part beside them.

    The outermost ModuleLists hold layers, or stages with layers of their own under "layers" or "blocks".
    """
    lists: list[str] = []
    for path, child in module.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in lists)
        of_stage = path.rpartition(".")[2] in ("layers", "blocks")
        outermost = isinstance(child, nn.ModuleList) and len(child) > 1 and not inside
        if outermost or (isinstance(child, nn.ModuleList | nn.Sequential) and inside and of_stage):
            lists.append(path)
    groups: dict[str, list[str]] = {}
    for name, _ in module.named_parameters():
        groups.setdefault(_group_of(name, lists), []).append(name)
    return list(groups.items())


def _group_of(name: str, lists: list[str]) -> str:
    """The shortest path above a parameter that holds no list: a list's entry, or a part beside the lists."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        path = ".".join(parts[:end])
        if not any(outer == path or outer.startswith(f"{path}.") for outer in lists):
            return path
    return ""


def text_blocks(module: nn.Module, inputs: Tensor) -> tuple[tuple[Block, ...], Tensor]:
    """Blocks of a network that reads texts, and what it puts out for some inputs.

    The embeddings with whatever runs before the first layer; each layer; and, in one block, whatever runs after
    the last one (the final norm, a language model's own output layer).

    Args:
        module: The network; its layers are the entries of its outermost ModuleLists.
        inputs: A batch, as the network takes it.

    Raises:
        BackboneError: The network has no list of layers.
    """
    lists = _outermost_lists(module)
    layers = [f"{path}.{name}" for path in lists for name, _ in module.get_submodule(path).named_children()]
    calls, entrance = _watch(module, layers, inputs)
    ran = sorted((layer for layer in layers if layer in calls.finish), key=calls.finish.__getitem__)
    if not ran:
        raise BackboneError(
            f"{type(module).__name__} has no list of layers that could be told apart.",
            "choose a transformer encoder or a causal language model",
        )
    outside = [
        name for name, _ in module.named_parameters() if not any(at_or_below(name, layer) for layer in ran)
    ]
    first = calls.finish[ran[0]]
    behind = {name for name in outside if calls.finish.get(name.rpartition(".")[0], -1) > first}
    stem = _stem(module, set(outside) - behind, entrance, calls)
    tail = sorted(maximal_parts(module, behind, calls), key=calls.finish.__getitem__)
    blocks = [stem, *(Block(layer, (layer,)) for layer in ran)]
    return (*blocks, *([Block(tail[-1], tuple(tail))] if tail else [])), calls.output


def _outermost_lists(module: nn.Module) -> list[str]:
    lists: list[str] = []
    for path, child in module.named_modules():
        if isinstance(child, nn.ModuleList) and not any(at_or_below(path, outer) for outer in lists):
            lists.append(path)
    return lists


def _watch(module: nn.Module, layers: Sequence[str], inputs: Tensor) -> tuple[Calls, str | None]:
    """What one pass showed, and which module put out the very object that entered the first layer, if one did."""
    entered: list[Tensor] = []

    def note(_: nn.Module, positional: tuple[object, ...], named: dict[str, object]) -> None:
        entered.extend(each for each in (*positional, *named.values()) if isinstance(each, Tensor))

    hooks = [
        module.get_submodule(layer).register_forward_pre_hook(note, with_kwargs=True) for layer in layers
    ]
    try:
        calls = watch_calls(module, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    makers = [
        path
        for path, result in calls.result.items()
        if entered and result == id(entered[0]) and not any(at_or_below(path, layer) for layer in layers)
    ]
    return calls, makers[-1] if makers else None


def _stem(module: nn.Module, names: set[str], entrance: str | None, calls: Calls) -> Block:
    """What runs before the first layer, named by the module whose output enters that layer.

    Tables that all layers share (relative positions) are made after that and must run wherever the network is cut:
    they are members as bare parameters.
    """
    parts = maximal_parts(module, names, calls)
    name = entrance or max(parts, key=lambda part: calls.finish.get(part, -1))
    end = calls.finish[name]
    early = [part for part in parts if calls.finish.get(part, end + 1) <= end]
    shared = sorted(each for each in names if not any(at_or_below(each, part) for part in early))
    inside = any(at_or_below(name, part) for part in early)
    return Block(name, (*early, *([] if inside else [name]), *shared))
