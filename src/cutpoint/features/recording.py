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
from cutpoint.backbones.order import at_or_below, example_inputs, inference

BATCHES = (1, 2)
"""Two batch sizes show which dimensions of an output grow with the batch."""


@dataclass(frozen=True)
class _Shape:
    """A tensor leaf of an output: each dimension is fixed, or that many times the batch size."""

    sizes: tuple[tuple[int, bool], ...]
    dtype: torch.dtype

    def placeholder(self, batch: int, like: Tensor) -> Tensor:
        sizes = [size * batch if grows else size for size, grows in self.sizes]
        dtype = like.dtype if self.dtype.is_floating_point else self.dtype
        return torch.zeros(1, dtype=dtype, device=like.device).expand(sizes)

    @property
    def grows(self) -> bool:
        return any(grows for _, grows in self.sizes)


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

    def filled(self, batch: int, like: Tensor, activation: Tensor | None = None) -> Any:
        """The output again, with placeholders, or with the given activation in its place."""
        leaves = [leaf.placeholder(batch, like) if isinstance(leaf, _Shape) else leaf for leaf in self.leaves]
        if activation is not None and self.activation is not None:
            leaves[self.activation] = activation.clone() if self.overwritten else activation
        return pytree.tree_unflatten(leaves, self.tree)


class Recording:
    """What every part of the blocks puts out, from two watched forward passes over noise.

    Attributes:
        outputs: Module path → output, for modules that ran exactly once.
        repeated: Module paths that ran more than once: their weights are shared between depths.
        order: Module paths in the order in which they finished.
    """

    def __init__(self, module: nn.Module, blocks: Sequence[Block], shape: Sequence[int]) -> None:
        paths = _watched(module, blocks)
        small, large = (_watch(module, paths, shape, batch) for batch in BATCHES)
        self.order = tuple(dict.fromkeys(small))
        self.repeated = frozenset(path for path, seen in small.items() if len(seen) > 1)
        self.outputs: dict[str, Output] = {
            path: _describe(seen[0], large[path][0])
            for path, seen in small.items()
            if len(seen) == 1 and len(large.get(path, ())) == 1
        }


def noise_for(module: nn.Module, shape: Sequence[int], batch: int, seed: int = 0) -> Tensor:
    """Noise of the shape (batch, *shape), on the device and in the precision of the module's weights."""
    noise = example_inputs(shape, batch, seed)
    weights = next(module.parameters(), None)
    return noise if weights is None else noise.to(weights.device, weights.dtype)


def _watched(module: nn.Module, blocks: Sequence[Block]) -> tuple[str, ...]:
    """The blocks' parts, and what has no weights and stands outside of them (activations, pooling).

    The latter are silenced too: a rectifier that works in place cannot write into a placeholder, and pooling
    one is wasted time.
    """
    members = [member for block in blocks for member in block.members]
    return tuple(
        path
        for path, child in module.named_modules()
        if path in members
        or (
            not list(child.children())
            and not child.state_dict()
            and not any(at_or_below(path, member) for member in members)
        )
    )


def _watch(
    module: nn.Module, paths: Sequence[str], shape: Sequence[int], batch: int
) -> dict[str, list[tuple[Any, bool]]]:
    """Outputs of the named modules in one forward pass, in order, and whether each was written into later."""
    seen: dict[str, list[tuple[Any, list[int]]]] = {}

    def keep(path: str, *arguments: Any) -> None:
        output = arguments[-1]
        seen.setdefault(path, []).append((output, _versions(output)))

    hooks = [module.get_submodule(path).register_forward_hook(partial(keep, path)) for path in paths]
    try:
        with inference(module):
            module(noise_for(module, shape, batch))
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


def _describe(small: tuple[Any, bool], large: tuple[Any, bool]) -> Output:
    leaves, tree = pytree.tree_flatten(small[0])
    others = pytree.tree_leaves(large[0])
    return Output(
        tree, tuple(_leaf(*pair) for pair in zip(leaves, others, strict=True)), small[1] or large[1]
    )


def _leaf(small: Any, large: Any) -> Any:
    """A shape for what grows with the batch, the value itself for everything else."""
    if not isinstance(small, Tensor) or small.shape == large.shape:
        return small
    sizes = tuple((a, a != b) for a, b in zip(small.shape, large.shape, strict=True))
    return _Shape(sizes, small.dtype)
