"""Which parts of a network run in which order, and which parameters belong to which block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cutpoint.backbones.backbone import Backbone, Block


@contextmanager
def inference(module: nn.Module) -> Iterator[None]:
    """The module in inference mode without gradients; each submodule's own mode is put back afterwards."""
    modes = {child: child.training for child in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for child, mode in modes.items():
            child.training = mode


@dataclass(frozen=True)
class Calls:
    """What one forward pass showed.

    Attributes:
        finish: Module path → position in the order in which the modules finished; only those that ran.
        result: Module path → which object it put out: a wrapper puts out the very object of its child.
        output: What the network put out.
    """

    finish: Mapping[str, int]
    result: Mapping[str, int]
    output: Tensor


def watch_calls(module: nn.Module, inputs: Tensor) -> Calls:
    """Run the network once in inference mode and note which submodules ran, and in which order.

    Args:
        module: The network.
        inputs: A batch, as the network takes it.
    """
    outputs: dict[str, object] = {}

    def note(name: str, *arguments: object) -> None:
        outputs[name] = arguments[-1]

    hooks = [
        child.register_forward_hook(partial(note, name)) for name, child in module.named_modules() if name
    ]
    try:
        with inference(module):
            output = module(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return Calls(
        finish={name: position for position, name in enumerate(outputs)},
        result={name: id(result) for name, result in outputs.items()},
        output=output,
    )


def blocks_from_groups(
    module: nn.Module, groups: Iterable[tuple[str, Sequence[str]]], calls: Calls
) -> tuple[Block, ...]:
    """Blocks in the order of execution from groups of parameter names.

    A group whose members share a path is one block. One without a common path is the stem if it stands first;
    otherwise (the last stage lumped together with the final norm) it is split into its parts. Each block is
    named by its part that finishes last.

    Args:
        module: The network.
        groups: A module path that holds the whole group (empty if none is known) and the names of its
            parameters, lowest layers first; the groups do not overlap.
        calls: `watch_calls` of the module.
    """
    finish = calls.finish
    blocks: list[Block] = []
    for number, (root, group) in enumerate(groups):
        found = maximal_parts(module.get_submodule(root), set(group), calls, root)
        parts = sorted(found, key=lambda part: finish.get(part, -1))
        together = number == 0 or len({name.split(".")[0] for name in group}) == 1
        for members in [parts] if together else _split(module, parts):
            if members[-1] in finish:
                blocks.append(Block(members[-1], tuple(members)))
            elif blocks:  # never called as a module: its parameters stay with the block before
                blocks[-1] = Block(blocks[-1].name, (*blocks[-1].members, *members))
    return tuple(sorted(blocks, key=lambda block: finish[block.name]))


def block_parameters(module: nn.Module, block: Block) -> dict[str, nn.Parameter]:
    """The parameters of one block by name, in the module's order."""
    return blocks_parameters(module, [block])[0]


def blocks_parameters(module: nn.Module, blocks: Sequence[Block]) -> list[dict[str, nn.Parameter]]:
    """The parameters of each block by name; the module is walked through once for all of them."""
    named = list(module.named_parameters())
    return [
        {name: held for name, held in named if any(at_or_below(name, member) for member in block.members)}
        for block in blocks
    ]


def uncovered_parameters(backbone: Backbone) -> tuple[str, ...]:
    """Names of the parameters that no block holds."""
    members = members_of(backbone.blocks)
    return tuple(
        name
        for name, _ in backbone.module.named_parameters()
        if not any(at_or_below(name, member) for member in members)
    )


def members_of(blocks: Iterable[Block]) -> list[str]:
    """Paths of the parts of these blocks, in order."""
    return [member for block in blocks for member in block.members]


def at_or_below(name: str, member: str) -> bool:
    """Whether a parameter is the member itself (a bare parameter such as cls_token) or stands below it."""
    return name == member or name.startswith(f"{member}.")


def maximal_parts(module: nn.Module, group: set[str], calls: Calls, path: str = "") -> list[str]:
    """The largest submodules that ran, and the bare parameters, that lie wholly in the group."""
    parts: list[str] = []
    prefix = f"{path}." if path else ""
    owned = {prefix + name for name, _ in module.named_parameters(remove_duplicate=False)}
    if path in calls.finish and owned <= group:
        return [_innermost(module, path, calls)]
    parts += [prefix + name for name, _ in module.named_parameters(recurse=False) if prefix + name in group]
    for name, child in module.named_children():
        if any(at_or_below(parameter, prefix + name) for parameter in group):
            parts += maximal_parts(child, group, calls, prefix + name)
    return parts


def _innermost(module: nn.Module, path: str, calls: Calls) -> str:
    """Walk down through wrappers around a single composite part: a stage of one block is that block."""
    owned = len(list(module.parameters()))
    for name, child in module.named_modules():
        inner = f"{path}.{name}"
        same = len(list(child.parameters())) == owned and list(child.children())
        if name and same and calls.result.get(inner) == calls.result[path]:
            return _innermost(child, inner, calls)
    return path


def _split(module: nn.Module, parts: Sequence[str]) -> list[list[str]]:
    """One entry a part, but a norm stays with the bare convolution or linear layer that it follows."""
    entries: list[list[str]] = []
    for part in parts:
        if entries and _is_leaf(module, part) and _is_weight_layer(module, entries[-1][-1]):
            entries[-1].append(part)
        else:
            entries.append([part])
    return entries


def _is_leaf(module: nn.Module, path: str) -> bool:
    """A norm or a bare parameter: no matrix of its own below that path."""
    return all(
        parameter.ndim == 1 for name, parameter in module.named_parameters() if at_or_below(name, path)
    )


def _is_weight_layer(module: nn.Module, path: str) -> bool:
    return (
        isinstance(module.get_submodule(path), nn.Conv2d | nn.Linear) if _is_module(module, path) else False
    )


def _is_module(module: nn.Module, path: str) -> bool:
    return path in dict(module.named_modules())
