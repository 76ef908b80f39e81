"""What the parts of a network put out, watched once, so that they can be replaced by placeholders later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from cutpoint.backbones.backbone import Block
from cutpoint.backbones.inputs import Inputs
from cutpoint.backbones.order import at_or_below, inference, members_of


@dataclass(frozen=True)
class Size:
    """How large a batch is."""

    examples: int
    length: int
    """Last axis of the inputs: tokens of the longest text; the same for all batches of images."""

    @staticmethod
    def of(inputs: Tensor) -> Size:
        """Of a batch as the network takes it."""
        return Size(inputs.shape[0], inputs.shape[-1])


@dataclass(frozen=True)
class _Axis:
    """One dimension of an output: (fixed + slope · length), for each example where it grows with the batch."""

    fixed: int
    slope: int
    grows: bool

    def at(self, size: Size) -> int:
        return (self.fixed + self.slope * size.length) * (size.examples if self.grows else 1)


@dataclass(frozen=True)
class _Shape:
    """A tensor leaf of an output."""

    axes: tuple[_Axis, ...]
    dtype: torch.dtype

    def placeholder(self, size: Size, like: Tensor) -> Tensor:
        dtype = like.dtype if self.dtype.is_floating_point else self.dtype
        zeros = torch.zeros(1, dtype=dtype, device=like.device)
        return zeros.expand([axis.at(size) for axis in self.axes])

    @property
    def grows(self) -> bool:
        return any(axis.grows for axis in self.axes)


@dataclass(frozen=True)
class Output:
    """What a module put out while it was watched: its structure, with a shape or a constant for each leaf."""

    tree: pytree.TreeSpec
    leaves: tuple[Any, ...]
    overwritten: bool
    """Whether later parts of the network write into the output."""

    @property
    def activation(self) -> int | None:
        """Position of the only leaf that grows with the batch, or None where there is not exactly one."""
        growing = [i for i, leaf in enumerate(self.leaves) if isinstance(leaf, _Shape) and leaf.grows]
        return growing[0] if len(growing) == 1 else None

    def filled(self, size: Size, like: Tensor, activation: Tensor | None = None) -> Any:
        """The output again, with placeholders, or with the given activation in its place."""
        leaves = [leaf.placeholder(size, like) if isinstance(leaf, _Shape) else leaf for leaf in self.leaves]
        if activation is not None and self.activation is not None:
            leaves[self.activation] = activation.clone() if self.overwritten else activation
        return pytree.tree_unflatten(leaves, self.tree)


class Recording:
    """What every part of the blocks puts out, from watched forward passes over noise of several sizes.

    Attributes:
        outputs: Module path → output, for modules that ran exactly once.
        repeated: Module paths that ran more than once: their weights are shared between depths.
        order: Module paths in the order in which they finished.
    """

    def __init__(self, module: nn.Module, blocks: Sequence[Block], inputs: Inputs) -> None:
        paths = _watched(module, blocks, inputs)
        # One pass shows the sizes, a second what grows with the batch, a third what grows with the length.
        batches = [noise_for(module, inputs, 1), noise_for(module, inputs, 2)]
        if inputs.shape is None:
            batches.append(noise_for(module, inputs, 1, longer=True))
        seen = [_watch(module, paths, batch) for batch in batches]
        lengths = [Size.of(batch).length for batch in batches]
        self.order = tuple(dict.fromkeys(seen[0]))
        self.repeated = frozenset(path for path, outputs in seen[0].items() if len(outputs) > 1)
        self.outputs: dict[str, Output] = {
            path: _describe([each[path][0] for each in seen], lengths)
            for path in self.order
            if all(len(each.get(path, ())) == 1 for each in seen)
        }


def noise_for(
    module: nn.Module, inputs: Inputs, batch: int, seed: int = 0, *, longer: bool = False
) -> Tensor:
    """Noise on the device of the module's weights, and in their precision where it is no text."""
    noise = inputs.noise(batch, seed, longer=longer)
    weights = next(module.parameters(), None)
    if weights is None:
        return noise
    return noise.to(weights.device, weights.dtype if noise.is_floating_point() else noise.dtype)


def _watched(module: nn.Module, blocks: Sequence[Block], inputs: Inputs) -> tuple[str, ...]:
    """The blocks' parts and, in networks of images, what has no weights and stands outside of them.

    The latter (activations, pooling) are silenced too: a rectifier that works in place cannot write into a
    placeholder, and pooling one is wasted time. In networks of texts they make masks and rotary embeddings, which
    the blocks above need.
    """
    members = members_of(blocks)
    with_outer = inputs.shape is not None
    return tuple(
        path
        for path, child in module.named_modules()
        if path in members
        or (
            with_outer
            and not list(child.children())
            and not child.state_dict()
            and not any(at_or_below(path, member) for member in members)
        )
    )


def _watch(module: nn.Module, paths: Sequence[str], batch: Tensor) -> dict[str, list[tuple[Any, bool]]]:
    """Outputs of the named modules in one forward pass, in order, and whether each was written into later."""
    seen: dict[str, list[tuple[Any, list[int]]]] = {}

    def keep(path: str, *arguments: Any) -> None:
        output = arguments[-1]
        seen.setdefault(path, []).append((output, _versions(output)))

    hooks = [module.get_submodule(path).register_forward_hook(partial(keep, path)) for path in paths]
    try:
        with inference(module):
            module(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        path: [(output, _versions(output) != versions) for output, versions in outputs]
        for path, outputs in seen.items()
    }


def _versions(output: Any) -> list[int]:
    """How often each tensor was written into."""
    return [leaf._version for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]


def _describe(outputs: Sequence[tuple[Any, bool]], lengths: Sequence[int]) -> Output:
    leaves, tree = pytree.tree_flatten(outputs[0][0])
    others = [pytree.tree_leaves(output) for output, _ in outputs[1:]]
    described = tuple(_leaf(found, lengths) for found in zip(leaves, *others, strict=True))
    return Output(tree, described, any(overwritten for _, overwritten in outputs))


def _leaf(found: Sequence[Any], lengths: Sequence[int]) -> Any:
    """A shape for what grows with the batch or the length, the value itself for everything else."""
    first = found[0]
    if not isinstance(first, Tensor) or all(each.shape == first.shape for each in found):
        return first
    return _Shape(
        tuple(_axis(sizes, lengths) for sizes in zip(*(each.shape for each in found), strict=True)),
        first.dtype,
    )


def _axis(sizes: Sequence[int], lengths: Sequence[int]) -> _Axis:
    """From the sizes at one example, at two, and (texts only) at one longer example."""
    slope = (sizes[2] - sizes[0]) // (lengths[2] - lengths[0]) if len(sizes) > 2 else 0
    return _Axis(fixed=sizes[0] - slope * lengths[0], slope=slope, grows=sizes[1] != sizes[0])
