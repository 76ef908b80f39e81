"""What a fit starts from: the network with its head, and the losses it is trained on and judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cutpoint.adapters.inject import inject
from cutpoint.adapters.quantise import copy_for
from cutpoint.backbones.order import members_of
from cutpoint.features.seeding import seeded
from cutpoint.heads.chunks import Chosen, Features, moments
from cutpoint.heads.modules import Head, LinearHead, MLPHead, NoHead
from cutpoint.heads.trees import TreesHead
from cutpoint.model import Network
from cutpoint.objectives import StartingPointPenalty, SupervisedLoss, balanced_class_weights
from cutpoint.regimes.partition import trainable_parameters
from cutpoint.regimes.recipe import Recipe, Stage
from cutpoint.training.checkpointing import keep_no_activations
from cutpoint.training.dead_units import hold_still
from cutpoint.training.state import FitData
from cutpoint.types import IGNORED


def build_network(recipe: Recipe, data: FitData, seed: int) -> Network:
    """The network before the first stage; the seed decides random weights."""
    with seeded(seed):
        return Network(_module(recipe, data), _head(recipe, data))


def untouched_blocks(recipe: Recipe, data: FitData) -> int:
    """Blocks of the network before the first stage that compute what those of the pretrained backbone do."""
    return 0 if recipe.regime.starts_changed else len(data.bank.backbone.blocks)


def target_tensor(data: FitData, device: torch.device) -> Tensor:
    """Targets of the bank's rows: int64 numbers of classes, tags or tokens, else float32."""
    kind = np.float32 if data.task.kind in ("multilabel", "regression") else np.int64
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
    kinds = ("binary", "multiclass", "tagging")
    if recipe.regime.objective.class_weights == "none" or data.task.kind not in kinds:
        return None
    targets = data.targets[data.train]
    return balanced_class_weights(targets[targets != IGNORED], data.task.outputs)


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
        module = copy_for(backbone.module, recipe.regime.adapter)
    if recipe.regime.adapter is not None:
        inject(module, recipe.regime.adapter, members_of(backbone.blocks[recipe.cut :]))
    if recipe.regime.checkpointing:
        keep_no_activations(module)
    is_distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if is_distributed and any(stage.phase.batchnorm == "sync" for stage in recipe.stages):
        convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm
        module = convert(module)
    return module


def _head(recipe: Recipe, data: FitData) -> Head:
    regime, width, outputs = recipe.regime, data.bank.backbone.width, data.task.outputs
    head: Head
    if data.task.kind == "language":
        return NoHead()
    if regime.head == "linear":
        head = LinearHead(width, outputs)
    elif regime.head == "trees":
        head = TreesHead(width, outputs)
    else:
        head = MLPHead(width, outputs, (regime.hidden,), regime.dropout)
    if regime.init == "pretrained" and recipe.stages[0].phase.solver == "gradient":
        head.standardise_inputs(*moments(hold_still(_pooled(data), recipe, data)))
    if data.task.kind == "regression":
        head.scale_outputs(torch.from_numpy(data.targets[data.train].astype(np.float32)))
    return head


def _pooled(data: FitData) -> Features:
    """(rows, width) pretrained features of the training rows, or of their words."""
    pooled = data.bank.pooled()
    return Chosen(pooled.final, data.train if pooled.spans is None else pooled.spans.places(data.train))


def _target_variance(data: FitData) -> float:
    return float(np.var(data.targets[data.train])) if data.task.kind == "regression" else 1.0
