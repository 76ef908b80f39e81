"""Backbones from the user's own networks."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cutpoint.backbones.backbone import Backbone, Block
from cutpoint.backbones.digest import weights_digest
from cutpoint.backbones.inputs import ImageInputs
from cutpoint.backbones.order import Calls, blocks_from_groups, watch_calls
from cutpoint.errors import BackboneError
from cutpoint.types import BackboneReference, ImagePreprocessing, Provenance


class PooledModule(nn.Module):
    """A network whose maps (B, width, height, width) or tokens (B, tokens, width) are averaged into rows."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, channels, height, width) → (B, width)."""
        output: Tensor = self.network(inputs)
        return output.mean((2, 3)) if output.ndim == 4 else output.mean(1)


def from_module(
    module: nn.Module,
    *,
    preprocessing: ImagePreprocessing,
    blocks: Sequence[str | Block] | None = None,
    name: str = "module",
) -> Backbone:
    """Make a backbone of any network.

    Args:
        module: (B, channels, height, width) → (B, width), or maps or tokens, which are averaged.
        preprocessing: How an image becomes the module's input.
        blocks: Module paths (or blocks) in the order in which the data pass them; the direct children in the
            order of their execution if None.
        name: What messages and reports call it.

    Raises:
        BackboneError: The network does not run on such inputs, gives something else than features, or a block
            is unknown.
    """
    pooled = _with_rows(module, preprocessing)
    calls = _watched(pooled, preprocessing)
    inner = "network." if pooled is not module else ""
    chosen = _default_blocks(pooled, inner, calls) if blocks is None else _given(pooled, inner, blocks)
    return Backbone(
        reference=BackboneReference(kind="module", name=name, digest=weights_digest(pooled)),
        module=pooled.eval(),
        blocks=chosen,
        inputs=ImageInputs(preprocessing),
        width=int(calls.output.shape[1]),
        provenance=Provenance(),
        rebuild=lambda: _with_fresh_weights(pooled),
    )


def _watched(module: nn.Module, preprocessing: ImagePreprocessing) -> Calls:
    shape = (preprocessing.channels, *preprocessing.size)
    try:
        return watch_calls(module, ImageInputs(preprocessing).noise(2))
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise BackboneError(
            f"The network does not run on inputs of shape (2, {', '.join(map(str, shape))}): {error}",
            "the preprocessing's size and channels must be what the network takes",
        ) from error


def _with_rows(module: nn.Module, preprocessing: ImagePreprocessing) -> nn.Module:
    output = _watched(module, preprocessing).output
    if not isinstance(output, Tensor) or output.ndim not in (2, 3, 4) or output.shape[0] != 2:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise BackboneError(
            f"The network gives {shape} for two images instead of features.",
            "its forward must return (B, width), (B, width, height, width) or (B, tokens, width)",
        )
    return module if output.ndim == 2 else PooledModule(module)


def _default_blocks(module: nn.Module, inner: str, calls: Calls) -> tuple[Block, ...]:
    """Direct children with weights, in the order of their execution."""
    network = module.get_submodule(inner.rstrip("."))
    groups = [
        (f"{inner}{name}", [f"{inner}{name}.{parameter}" for parameter, _ in child.named_parameters()])
        for name, child in network.named_children()
    ]
    filled = [group for group in groups if group[1]]
    return blocks_from_groups(module, filled, calls)


def _given(module: nn.Module, inner: str, blocks: Sequence[str | Block]) -> tuple[Block, ...]:
    known = dict(module.named_modules())
    chosen = []
    for block in blocks:
        name, members = (block, (block,)) if isinstance(block, str) else (block.name, block.members)
        if f"{inner}{name}" not in known:
            raise BackboneError(
                f"The network has no part {name!r}.",
                f"its parts are {', '.join(path.removeprefix(inner) for path in list(known)[1:20])} …",
            )
        chosen.append(Block(f"{inner}{name}", tuple(f"{inner}{member}" for member in members)))
    return tuple(chosen)


def _with_fresh_weights(module: nn.Module) -> nn.Module:
    """A copy with weights drawn anew, by each part's own `reset_parameters`.

    Raises:
        BackboneError: A part with weights does not say how it draws them.
    """
    fresh = copy.deepcopy(module)
    for name, part in fresh.named_modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            with torch.no_grad():
                reset()
        elif list(part.parameters(recurse=False)):
            raise BackboneError(
                f"{name or type(part).__name__} holds weights but has no reset_parameters.",
                "give the module that method, so that the network can be trained from scratch",
            )
    return fresh
