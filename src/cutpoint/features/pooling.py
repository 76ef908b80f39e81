"""What every block of a network says about a batch, pooled to one row an example or word."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from cutpoint.backbones.backbone import Block
from cutpoint.backbones.inputs import Inputs
from cutpoint.errors import BackboneError
from cutpoint.features.cut import Cut


def pooled_blocks(
    module: nn.Module, blocks: Sequence[Block], inputs: Inputs, batch: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Pooled output of every block from one forward pass.

    Maps are averaged over space (channels first or last); tokens as the inputs say.

    Args:
        module: The network, in the mode in which it is to run.
        blocks: Its blocks in order.
        inputs: What the network takes.
        batch: A batch of it.

    Returns:
        What the network puts out, and the same of each block: (B, width of block i), or (B, words, width).
    """
    pooled: dict[str, Tensor] = {}

    def keep(name: str, child: nn.Module, _: Any, output: Any) -> None:
        pooled[name] = _pooled(child, output, inputs, batch)

    hooks = [
        module.get_submodule(block.name).register_forward_hook(partial(keep, block.name)) for block in blocks
    ]
    try:
        features: Tensor = module(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return features, [pooled[block.name] for block in blocks]


class PooledProgram(nn.Module):
    """What an engine runs for the pooled features: prepared inputs → the same, as one tuple.

    Args:
        module: The network; it is not copied.
        blocks: Its blocks in order.
        inputs: What the network takes.
        cut: Where one is given, the activation after so many blocks is the last of the tuple.
    """

    def __init__(
        self, module: nn.Module, blocks: Sequence[Block], inputs: Inputs, cut: int | None = None
    ) -> None:
        super().__init__()
        self.module = module
        self.blocks = tuple(blocks)
        self.inputs = inputs
        self._cut = None if cut is None else Cut(module, blocks, cut, inputs)

    def forward(self, prepared: Tensor) -> tuple[Tensor, ...]:
        batch = self.inputs.to_network(prepared)

        def pooled() -> tuple[Tensor, ...]:
            final, blocks = pooled_blocks(self.module, self.blocks, self.inputs, batch)
            return (final, *blocks)

        if self._cut is None:
            return pooled()
        with self._cut.overheard() as heard:
            parts = pooled()
        return (*parts, self._cut.activation_of(heard.pop()))


def _pooled(block: nn.Module, output: Any, inputs: Inputs, batch: Tensor) -> Tensor:
    """One row an example (or word) from whatever a block puts out."""
    activation = next(
        (
            leaf
            for leaf in pytree.tree_leaves(output)
            if isinstance(leaf, Tensor) and leaf.shape[:1] == batch.shape[:1]
        ),
        None,
    )
    if activation is None:
        raise BackboneError(
            f"A block ({type(block).__name__}) puts out nothing with one row an example.",
            "leave it out of the blocks",
        )
    if activation.ndim == 4:
        return activation.mean((1, 2) if _channels_last(block, activation) else (2, 3))
    if activation.ndim == 3:
        return inputs.pool(activation, batch)
    return activation.flatten(1)


def _channels_last(block: nn.Module, activation: Tensor) -> bool:
    """Whether (B, a, b, c) is (B, height, width, channels): the block's weights tell, else squareness."""
    _, first, middle, last = activation.shape
    sizes = {parameter.shape[0] for parameter in block.parameters()}
    if (first in sizes) != (last in sizes):
        return last in sizes
    return first == middle and middle != last
