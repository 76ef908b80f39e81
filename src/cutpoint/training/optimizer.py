"""Optimizer and learning-rate schedule of a stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from cutpoint.backbones.backbone import Block
from cutpoint.model import Network
from cutpoint.regimes.groups import parameter_groups
from cutpoint.regimes.recipe import Stage

_OPTIMIZERS: dict[str, Any] = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def build_optimizer(network: Network, blocks: Sequence[Block], stage: Stage) -> torch.optim.Optimizer:
    """The stage's optimizer over discriminative groups; each group remembers its full rate as `base`."""
    groups = [{**group, "base": group["lr"]} for group in parameter_groups(network, blocks, stage)]
    name = stage.phase.optimizer
    extra = {"momentum": 0.9} if name == "sgd" else {}
    optimizer: torch.optim.Optimizer = _OPTIMIZERS[name](groups, fused=True, **extra)
    return optimizer


def set_rates(optimizer: torch.optim.Optimizer, stage: Stage, step: int, steps: int) -> float:
    """Set every group's rate for this step of the stage; returns the share of the full rate."""
    share = rate_share(stage, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * share
    return share


def rate_share(stage: Stage, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine to (almost) zero at the stage's last step, or a constant."""
    warm = math.ceil(stage.phase.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    if stage.phase.schedule == "constant":
        return 1.0
    progress = (step - warm + 1) / max(steps - warm + 1, 1)
    return 0.5 * (1.0 + math.cos(math.pi * progress))
