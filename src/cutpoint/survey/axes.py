"""The axes on which the choice of a regime turns, measured: size, distance, budget, circumstances."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cutpoint.backbones.digest import weights_digest
from cutpoint.data.splits import class_counts
from cutpoint.errors import DataError
from cutpoint.evaluation.diagnosis import chance_score
from cutpoint.evaluation.metrics import METRICS
from cutpoint.features.bank import FeatureBank
from cutpoint.features.layer_probe import held_out_score
from cutpoint.features.seeding import seeded
from cutpoint.features.spans import Rows
from cutpoint.heads.chunks import Chosen, Features
from cutpoint.runtime import available_memory, is_out_of_memory
from cutpoint.survey.source_distance import source_distances
from cutpoint.types import IGNORED, Axes, Circumstances, Cost, Dataset, LayerProbe, Task, TaskKind

FEWEST_ROWS, MOST_ROWS = 300, 1000
"""Rows that are looked at: at least the first, ten a class, and never more than the second."""
_ROWS_PER_CLASS = 10
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
_BATCH = 32
_FLOAT_BYTES = 4
_TINY = 1e-9
_PLAIN_METRICS: dict[TaskKind, str] = {"regression": "r2", "multilabel": "f1_micro"}
"""Where the task's own metric has no fixed best value that a distance could count from; otherwise accuracy."""

Array = NDArray[Any]


def measure_axes(
    bank: FeatureBank,
    *,
    curve: Sequence[LayerProbe],
    predicted: Mapping[str, Cost],
    budget_seconds: float,
    circumstances: Circumstances,
    seed: int,
) -> Axes:
    """Measure the axes of one backbone and data set; trains nothing but linear heads.

    The distance is what the probe leaves of the way to a perfect score, once from chance, `(1 - probe) / (1 - chance)`,
    and once from the same probe on the same architecture with random weights; then the geometric mean of the two.
    Against chance alone, an easy task would look near to any network, since random features say much (Saxe et al.
    2011); against random weights alone, a task that both solve would look far.

    Args:
        bank: The backbone, and training rows.
        curve: Its every-layer probe; empty where there is none.
        predicted: Trial → predicted cost.
        budget_seconds: What the race may take.
        circumstances: What the user says of the project.
        seed: Chooses rows, folds and random weights; torch's own random state stays as it is.
    """
    dataset, backbone = bank.dataset, bank.backbone
    task = _probed_task(dataset.task)
    rows = sampled_rows(dataset, seed, bank.rows)
    probe = chance = random_init = None
    if dataset.task.kind != "language":
        chance = _chance(bank, rows, task)
        with seeded(seed):  # a head draws its weights before they are solved for, and the control its own
            probe = _probe(bank, rows, task, seed)
            random_init = _random_init(bank, rows, task, seed) if probe is not None else None
    return Axes(
        modality=dataset.modality,
        kind=dataset.task.kind,
        **_sizes(dataset),
        backbone=backbone.name,
        parameters=sum(parameter.numel() for parameter in backbone.module.parameters()),
        probe=probe,
        chance=chance,
        random_init=random_init,
        best_depth=_best_depth(curve, dataset.task, len(backbone.blocks)),
        distance=_distance(probe, chance, random_init) if backbone.blocks else None,
        to_source=source_distances(bank),
        budget_seconds=budget_seconds,
        predicted=dict(predicted),
        circumstances=circumstances,
    )


def sampled_rows(dataset: Dataset, seed: int, among: Rows | None = None) -> Rows:
    """Training rows on which the axes are measured, in rising order: a few hundred, so that it takes seconds.

    Args:
        dataset: Of its training split.
        seed: Chooses them.
        among: Only from these rows; None: all.
    """
    known = dataset.splits["train"] if among is None else np.intersect1d(among, dataset.splits["train"])
    most = min(MOST_ROWS, max(FEWEST_ROWS, _ROWS_PER_CLASS * len(dataset.task.labels)))
    chosen = np.random.default_rng(seed).permutation(np.sort(known))[:most]
    if (
        dataset.task.is_classification
    ):  # a single example of a class cannot be held out and learned from as well
        classes = dataset.targets[chosen]
        chosen = chosen[np.bincount(classes, minlength=dataset.task.outputs)[classes] > 1]
    return np.sort(chosen)


def _sizes(dataset: Dataset) -> dict[str, float | int | None]:
    """Training examples, in all and by class."""
    train = dataset.splits["train"]
    found: dict[str, float | int | None] = {"rows": len(train), "classes": len(dataset.task.labels)}
    if dataset.task.labels:
        counts = class_counts(dataset.task, dataset.targets[train])
        found["per_class"] = float(np.median(counts))
        found["smallest_class"] = int(counts.min())
        found["imbalance"] = float(counts.max() / max(counts.min(), 1))
    return found


def _probed_task(task: Task) -> Task:
    """The question of the probe, judged by a metric whose best value is 1."""
    asked = task.for_heads
    metric = METRICS[asked.metric]
    if metric.share and metric.greater_is_better:
        return asked
    return asked.model_copy(update={"metric": _PLAIN_METRICS.get(asked.kind, "accuracy")})


def under_a_head(bank: FeatureBank, rows: Rows) -> tuple[Features, Array, Array | None]:
    """What a head sees of these rows of the data set: features (N, width), targets, and groups to be held out together.

    Of tags, N counts words, and the words of a sentence are a group where there are no others. Features are read when
    they are asked for.
    """
    positions = bank.positions(rows)
    pooled, targets = bank.pooled(), bank.targets[positions]
    groups = bank.dataset.groups_of(rows)
    if pooled.spans is None:
        features = Chosen(pooled.final, positions)
    else:  # each row is a sentence, and its words, held out together, are what the head sees
        features = Chosen(pooled.final, pooled.spans.places(positions))
        owners = np.repeat(np.arange(len(rows)), (targets != IGNORED).sum(axis=1))
        groups = owners if groups is None else groups[owners]
        targets = targets[targets != IGNORED]
    return features, targets, groups


def _probe(bank: FeatureBank, rows: Rows, task: Task, seed: int) -> float | None:
    """Held-out score of an exact head on the frozen features; None where the examples allow none."""
    features, targets, groups = under_a_head(bank, rows)
    return held_out_score(features[:], targets, task, strengths=_STRENGTHS, groups=groups, seed=seed)


def _chance(bank: FeatureBank, rows: Rows, task: Task) -> float | None:
    targets = bank.targets[bank.positions(rows)]
    if bank.dataset.task.kind == "tagging":
        targets = targets[targets != IGNORED]
    try:
        return chance_score(task, targets)
    except DataError:
        return None


def _random_init(bank: FeatureBank, rows: Rows, task: Task, seed: int) -> float | None:
    """The same probe on the same architecture with random weights; None where it has none, or does not fit."""
    backbone = bank.backbone
    sizes = sum(parameter.numel() for parameter in backbone.module.parameters())
    device = next((p.device for p in backbone.module.parameters()), torch.device("cpu"))
    if not backbone.blocks or _FLOAT_BYTES * sizes > available_memory(device) / 2:
        return None
    try:
        module = backbone.rebuild().to(device).eval()
        _estimate_batchnorm(module, bank, bank.positions(rows))
        reference = backbone.reference.model_copy(update={"digest": weights_digest(module)})
        control = replace(backbone, module=module, reference=reference)
        return _probe(
            FeatureBank(control, bank.dataset, rows, bank.cache, bank.on_progress), rows, task, seed
        )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None


@torch.no_grad()
def _estimate_batchnorm(module: nn.Module, bank: FeatureBank, positions: Rows) -> None:
    """Give random BatchNorm layers the statistics of these rows.

    Their initial ones (mean 0, variance 1) fit no signal: it would fade or grow from layer to layer, and the control
    would be weaker than random weights are.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    for layer in layers:
        layer.momentum = None  # a plain mean over the batches
        layer.train()
    if layers:
        for start in range(0, len(positions), _BATCH):
            module(bank.to_network(bank.prepared(positions[start : start + _BATCH])))
    module.eval()


def _best_depth(curve: Sequence[LayerProbe], task: Task, blocks: int) -> float | None:
    if not curve:
        return None
    sign = METRICS[task.for_heads.metric].sign
    return max(curve, key=lambda layer: (sign * layer.score, -layer.index)).index / blocks


def _distance(probe: float | None, chance: float | None, random_init: float | None) -> float | None:
    """Geometric mean of the shares that are left of the way to perfection, from chance and from random weights."""
    floors = [floor for floor in (chance, random_init) if floor is not None]
    if probe is None or not floors:
        return None
    left = [float(np.clip((1 - probe) / max(1 - floor, _TINY), 0, 1)) for floor in floors]
    return math.prod(left) ** (1 / len(left))
