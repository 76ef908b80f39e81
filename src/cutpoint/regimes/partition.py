"""Freezing is a partition: which parameters train follows from the phase, and is set in one function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cutpoint.adapters.inject import is_adapter_parameter
from cutpoint.backbones.backbone import Block
from cutpoint.backbones.order import blocks_parameters
from cutpoint.model import Network


@dataclass(frozen=True)
class Partition:
    """Blocks 1…frozen_blocks are frozen; above them everything trains, or only what the pattern matches, or only what
    an adapter has injected."""

    frozen_blocks: int
    pattern: str | None = None
    adapter: bool = False

    def chooses(self, name: str) -> bool:
        """Whether the parameter of that name trains, if it stands above the cut."""
        if self.adapter:
            return is_adapter_parameter(name)
        return self.pattern is None or fnmatchcase(name, self.pattern)


def trainable_parameters(
    network: Network, blocks: Sequence[Block], partition: Partition
) -> dict[str, list[tuple[str, nn.Parameter]]]:
    """Block name → its trainable (name, parameter) pairs, bottom first, and the head's under "head".

    Parameters that no block holds (a class token, say) train only where every block does and stand under
    "uncovered". Every trainable parameter stands in exactly one entry.
    """
    module = network.backbone
    held = blocks_parameters(module, blocks)
    chosen: dict[str, list[tuple[str, nn.Parameter]]] = {}
    if partition.frozen_blocks == 0:
        covered = {name for parameters in held for name in parameters}
        chosen["uncovered"] = [(name, p) for name, p in module.named_parameters() if name not in covered]
    for block, parameters in list(zip(blocks, held, strict=True))[partition.frozen_blocks :]:
        chosen[block.name] = list(parameters.items())
    chosen = {
        block: [(name, p) for name, p in members if p.is_floating_point() and partition.chooses(name)]
        for block, members in chosen.items()
    }
    chosen["head"] = list(network.head.named_parameters())
    return {block: members for block, members in chosen.items() if members}


def apply_partition(network: Network, blocks: Sequence[Block], partition: Partition) -> None:
    """Set `requires_grad` of the whole network; the only place that does."""
    network.requires_grad_(False)
    for members in trainable_parameters(network, blocks, partition).values():
        for _, parameter in members:
            parameter.requires_grad_(True)


def apply_modes(network: Network, blocks: Sequence[Block], partition: Partition, batchnorm: str) -> None:
    """Set train and eval modes for training steps; the only place that does.

    Frozen blocks run in inference mode (no dropout, no drop path, running statistics), so that what they
    compute may be cached. Unfrozen blocks train, but their BatchNorm layers only where `batchnorm` says so:
    batch statistics of small target sets are what ruins most fine-tunes.
    """
    network.eval()
    network.head.train()
    if partition.frozen_blocks == 0:
        network.backbone.train()
    for block in blocks[partition.frozen_blocks :]:
        for member in block.members:
            module = _submodule(network.backbone, member)
            if module is not None:
                module.train()
    if batchnorm == "inference":
        for module in network.backbone.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def _submodule(module: nn.Module, path: str) -> nn.Module | None:
    """The module at a path; None where the path names a bare parameter."""
    found: object = module
    for part in path.split("."):
        found = getattr(found, part)
    return found if isinstance(found, nn.Module) else None
