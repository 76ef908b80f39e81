"""Parameter groups with discriminative learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cutpoint.backbones.backbone import Block
from cutpoint.model import Network
from cutpoint.regimes.partition import trainable_parameters
from cutpoint.regimes.recipe import Stage


def parameter_groups(network: Network, blocks: Sequence[Block], stage: Stage) -> list[dict[str, Any]]:
    """One or two optimizer groups a block: weights, and (without weight decay) norms and biases.

    The rate of block l is rate · decay^(blocks above l), the topmost block and the head at the full rate
    (Howard & Ruder 2018, "discriminative fine-tuning"); the phase's explicit `rates` win.

    Returns:
        Groups with `params`, their `parameter_names` in the network, `lr`, `weight_decay` and `name`; every
        trainable parameter in exactly one.
    """
    depth = {block.name: len(blocks) - 1 - index for index, block in enumerate(blocks)}
    groups = []
    for block, members in trainable_parameters(network, blocks, stage.partition).items():
        part = "head" if block == "head" else "backbone"
        rate = _rate(block, depth.get(block, len(blocks) - 1), stage)
        for is_vector in (False, True):
            chosen = [(name, p) for name, p in members if (p.ndim <= 1) == is_vector]
            if chosen:
                groups.append(
                    {
                        "params": [parameter for _, parameter in chosen],
                        "parameter_names": [f"{part}.{name}" for name, _ in chosen],
                        "lr": rate,
                        "weight_decay": 0.0 if is_vector else stage.phase.weight_decay,
                        "name": f"{block}{'.vectors' if is_vector else ''}",
                    }
                )
    return groups


def _rate(block: str, blocks_above: int, stage: Stage) -> float:
    phase = stage.phase
    explicit = [prefix for prefix in phase.rates if block == prefix or block.startswith(f"{prefix}.")]
    if explicit:
        return phase.rates[max(explicit, key=len)]
    base = float(phase.rate)
    if block == "head":
        return base if phase.head_rate is None else phase.head_rate
    return base * float(phase.decay**blocks_above)
