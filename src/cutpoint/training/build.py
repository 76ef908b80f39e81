"""What a fit starts from: the network with its head, and the losses it is trained on and judged by."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cutpoint.features.seeding import seeded
from cutpoint.heads.modules import Head, LinearHead, MLPHead
from cutpoint.model import Network
from cutpoint.objectives import StartingPointPenalty, SupervisedLoss, balanced_class_weights
from cutpoint.regimes.partition import trainable_parameters
from cutpoint.regimes.recipe import Recipe, Stage
from cutpoint.training.state import FitData


def build_network(recipe: Recipe, data: FitData, seed: int) -> Network:
    """The network before the first stage; the seed decides random weights."""
    with seeded(seed):
        return Network(_module(recipe, data), _head(recipe, data))


def target_tensor(data: FitData, device: torch.device) -> Tensor:
    """Targets of the bank's rows: int64 class numbers, else float32."""
    kind = np.int64 if data.task.is_classification else np.float32
    return torch.from_numpy(data.targets.astype(kind)).to(device)


def judging_loss(recipe: Recipe, data: FitData) -> SupervisedLoss:
    """The objective without class weights and penalties: what chooses epochs and rates of one regime.

    Labels are smoothed as in training: the plain loss would call a network worse for being less sure, as it was
    asked to be, and keep its first epoch.
    """
    smoothing = recipe.regime.objective.label_smoothing
    return SupervisedLoss(data.task, smoothing, target_variance=_target_variance(data))


def training_loss(recipe: Recipe, data: FitData, device: torch.device) -> SupervisedLoss:
    """The loss that the regime's objective minimises."""
    weights = class_weights(recipe, data)
    return SupervisedLoss(
        data.task,
        recipe.regime.objective.label_smoothing,
        None if weights is None else weights.to(device),
        _target_variance(data),
    )


def class_weights(recipe: Recipe, data: FitData) -> Tensor | None:
    """(classes,) weights where the objective wants them."""
    if recipe.regime.objective.class_weights == "none" or not data.task.is_classification:
        return None
    return balanced_class_weights(data.targets[data.train], data.task.outputs)


def l2_sp_penalty(
    recipe: Recipe, stage: Stage, network: Network, data: FitData
) -> StartingPointPenalty | None:
    """L2-SP over the stage's trainable backbone parameters, where the objective wants it."""
    if not recipe.regime.objective.l2_sp:
        return None
    backbone = data.bank.backbone
    groups = trainable_parameters(network, backbone.blocks, stage.partition)
    pretrained = dict(backbone.module.named_parameters())
    pairs = [
        (parameter, pretrained[name])
        for block, members in groups.items()
        if block != "head"
        for name, parameter in members
    ]
    return StartingPointPenalty(pairs, recipe.regime.objective.l2_sp)


def _module(recipe: Recipe, data: FitData) -> nn.Module:
    backbone = data.bank.backbone
    if recipe.regime.init == "random":
        module = backbone.rebuild()
    elif recipe.cut == len(backbone.blocks):
        return backbone.module  # never changed, so never copied
    else:
        module = copy.deepcopy(backbone.module)
    is_distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if is_distributed and any(stage.phase.batchnorm == "sync" for stage in recipe.stages):
        convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm
        module = convert(module)
    return module


def _head(recipe: Recipe, data: FitData) -> Head:
    regime, width, outputs = recipe.regime, data.bank.backbone.width, data.task.outputs
    head: Head
    if regime.head == "linear":
        head = LinearHead(width, outputs)
    else:
        head = MLPHead(width, outputs, (regime.hidden,), regime.dropout)
    if regime.init == "pretrained" and recipe.stages[0].phase.solver == "gradient":
        head.standardise_inputs(torch.from_numpy(data.bank.pooled().final[data.train].copy()))
    if data.task.kind == "regression":
        head.scale_outputs(torch.from_numpy(data.targets[data.train].astype(np.float32)))
    return head


def _target_variance(data: FitData) -> float:
    return float(np.var(data.targets[data.train])) if data.task.kind == "regression" else 1.0
