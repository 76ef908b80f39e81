"""Optimizer of a stage: its rates at every step, and its state as named tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cutpoint.backbones.backbone import Block
from cutpoint.model import Network
from cutpoint.regimes.groups import parameter_groups
from cutpoint.regimes.recipe import Stage

_OPTIMIZERS: dict[str, Any] = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def build_optimizer(network: Network, blocks: Sequence[Block], stage: Stage) -> torch.optim.Optimizer:
    """The stage's optimizer over discriminative groups; each group remembers its full rate as `base`.

    Groups that are treated alike are one: a step costs a call for each.
    """
    groups = _alike_together(parameter_groups(network, blocks, stage))
    name = stage.phase.optimizer
    extra = {"momentum": 0.9} if name == "sgd" else {}
    optimizer: torch.optim.Optimizer = _OPTIMIZERS[name](groups, fused=True, **extra)
    return optimizer


def _alike_together(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[float, float], dict[str, Any]] = {}
    for group in groups:
        rate, decay = group["lr"], group["weight_decay"]
        empty = {"params": [], "parameter_names": [], "lr": rate, "base": rate, "weight_decay": decay}
        own = found.setdefault((rate, decay), empty)
        own["params"] += group["params"]
        own["parameter_names"] += group["parameter_names"]
    return list(found.values())


def set_rates(optimizer: torch.optim.Optimizer, stage: Stage, step: int, steps: int) -> float:
    """Set every group's rate for this step of the stage; returns the highest."""
    share = rate_share(stage, step, steps)
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * share
    return max(float(group["lr"]) for group in optimizer.param_groups)


def rate_share(stage: Stage, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine to (almost) zero at the stage's last step, or a constant."""
    warm = math.ceil(stage.phase.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    if stage.phase.schedule == "constant":
        return 1.0
    progress = (step - warm + 1) / max(steps - warm + 1, 1)
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's tensors under "kind/parameter name"."""
    return {
        f"{kind}/{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for name, parameter in _named(optimizer).items()
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took; rates and groups are the optimizer's own.

    Tensors of parameters that it does not hold (frozen again since) are left out.
    """
    named = _named(optimizer)
    for key, value in tensors.items():
        kind, name = key.split("/", 1)
        if name not in named:
            continue
        parameter = named[name]
        if value.shape == parameter.shape:  # in the parameter's memory layout, which fused steps rely on
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)
        optimizer.state[parameter][kind] = value.to(parameter.device)


def _named(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        name: parameter
        for group in optimizer.param_groups
        for name, parameter in zip(group["parameter_names"], group["params"], strict=True)
    }
