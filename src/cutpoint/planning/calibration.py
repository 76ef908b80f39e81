"""A short timing on this machine, from which every trial's cost is predicted before the first one runs."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cutpoint.adapters.quantise import quantisable_weights
from cutpoint.backbones.backbone import Backbone
from cutpoint.engines.names import EngineChoice
from cutpoint.features.bank import FeatureBank
from cutpoint.features.spans import Rows
from cutpoint.heads.exact import fit_exact
from cutpoint.heads.modules import LinearHead, NoHead
from cutpoint.model import Network
from cutpoint.planning.memory import activations_above, heap_share, predict_memory
from cutpoint.regimes import resolve_regimes
from cutpoint.regimes.partition import Partition, apply_modes, apply_partition, trainable_parameters
from cutpoint.regimes.recipe import resolve_recipe
from cutpoint.runtime import available_memory, is_mixed_precision, mixed_precision, wait_for
from cutpoint.training.fit import Fit, FitData
from cutpoint.types import IGNORED, Record, Task

_BATCH = 16
_SURE_SECONDS = 0.3
_HEAD_ROWS = 500
_HEAD_EPOCHS = 3
_BACKWARD = 3
"""A training step costs so many forward passes (Kaplan et al. 2020), where none is timed: one of the whole network may
not fit."""


class Calibration(Record):
    """Measured once a backbone and written into the plan: decisions use these figures, never the clock."""

    forward_seconds: float
    """One example through the whole backbone, in batches."""
    step_seconds: float
    """One example through a training step of the whole network; three forward passes where none was timed."""
    exact_seconds: float
    """The exact head with its cross-validation, for each training row."""
    head_seconds: float
    """One example through an epoch of a small MLP head, judging included."""
    flops: int
    """Forward operations for one example, backbone only."""
    flops_below: tuple[float, ...]
    """Share of the forward pass in blocks 1…k, for k = 0…L."""
    trainable: tuple[int, ...]
    """Backbone parameters that train when k blocks are frozen, for k = 0…L."""
    parameters: int
    buffers: int
    activations_above: tuple[int, ...]
    """Bytes that one example's forward pass keeps for the backward pass above k blocks, for k = 0…L."""
    available_bytes: int
    """Memory that was free beside the backbone, before this was measured."""
    linear_weights: int = 0
    """Of the parameters, those that a base in 4 bits holds so."""
    latency_seconds: float = 0.0
    """One example by itself, its preparation included."""
    engine: EngineChoice | None = None
    """What computed the pooled features; None where there are none."""
    mixed_precision: bool = False
    """Whether training steps compute in half precision on this device."""
    heap_share: float = 1.0
    """Bytes that the process takes for each byte that comes and goes in a fit."""

    @property
    def activation_bytes(self) -> int:
        """What one example's forward pass through the whole network keeps for the backward pass."""
        return self.activations_above[0]


def calibrate(
    bank: FeatureBank,
    targets: NDArray[np.generic],
    task: Task,
    device: torch.device,
    *,
    times_steps: bool = True,
) -> Calibration:
    """Time a forward pass, a training step and a head on a few of the bank's rows; takes seconds.

    Args:
        bank: The backbone and its rows; pooled features are computed if they are not yet.
        targets: The bank's.
        task: What is predicted.
        device: Where fits will run.
        times_steps: Whether a training step of the whole network is timed; where heads alone race, nobody needs it.
    """
    backbone = bank.backbone
    positions = _ordinary_rows(bank)
    inputs = bank.to_network(bank.prepared(positions))
    available = available_memory(device)
    head = NoHead() if task.kind == "language" else LinearHead(backbone.width, task.outputs)
    network = Network(copy.deepcopy(backbone.module), head).to(device)
    has_network = bool(backbone.blocks)
    with torch.inference_mode():
        forward = _seconds(lambda: network.backbone(inputs), device) if has_network else 0.0
    above = _activations_above(network, backbone, inputs) if has_network else (0,)
    kept = above[0]
    parameters = sum(parameter.numel() for parameter in backbone.module.parameters())
    step = _BACKWARD * forward
    fits = predict_memory(parameters, parameters, activations=kept * len(inputs)) <= available
    if times_steps and has_network and fits:
        step = _seconds(lambda: _training_step(network, backbone, inputs), device)
    middle = positions[len(positions) // 2 :][:1]
    total, below = _flops(network.backbone, backbone, bank.to_network(bank.prepared(middle)))

    def answer_one() -> object:
        with torch.inference_mode():
            return network.backbone(bank.to_network(bank.prepared(middle)))

    share = _share_of_longest(bank, inputs)
    return Calibration(
        forward_seconds=share * forward / len(inputs),
        step_seconds=share * step / len(inputs),
        exact_seconds=0.0 if task.kind == "language" else _exact_seconds(bank, targets, task),
        head_seconds=0.0 if task.kind == "language" else _head_seconds(bank, targets, task),
        flops=total,
        flops_below=below,
        trainable=_trainable(network, backbone),
        parameters=parameters,
        buffers=sum(buffer.numel() for buffer in backbone.module.buffers()),
        activations_above=above,
        available_bytes=available,
        linear_weights=quantisable_weights(backbone.module),
        latency_seconds=_seconds(answer_one, device),
        engine=bank.engine if isinstance(bank.engine, EngineChoice) else None,
        mixed_precision=is_mixed_precision(device),
        heap_share=heap_share(alike=_are_alike(bank), device=device.type),
    )


def _are_alike(bank: FeatureBank) -> bool:
    """Whether all batches have one shape: texts of many lengths make batches of as many."""
    return bank.lengths is None or int(bank.lengths.min()) == int(bank.lengths.max())


def _ordinary_rows(bank: FeatureBank) -> Rows:
    """A few rows; of texts, some of every length, since their cost grows with it."""
    count = min(_BATCH, len(bank.rows))
    if bank.lengths is None:
        return np.arange(count)
    ordered = np.argsort(bank.lengths, kind="stable")
    return ordered[np.linspace(0, len(ordered) - 1, count).astype(np.int64)]


def _share_of_longest(bank: FeatureBank, inputs: Tensor) -> float:
    """What an example costs in batches of texts of like length, beside this batch, which is padded to its longest."""
    return 1.0 if bank.lengths is None else float(bank.lengths.mean()) / inputs.shape[-1]


def _seconds(function: Callable[[], object], device: torch.device) -> float:
    """The faster of two runs after one to warm up; of a single one where it is long enough to be sure of."""
    function()
    times: list[float] = []
    while len(times) < 2 and sum(times) < _SURE_SECONDS:
        wait_for(device)
        started = time.perf_counter()
        function()
        wait_for(device)
        times.append(time.perf_counter() - started)
    return min(times)


def _training_step(network: Network, backbone: Backbone, inputs: Tensor) -> None:
    _train_everything(network, backbone)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, fused=True)
    with mixed_precision(inputs.device):
        torch.autograd.backward(network(inputs).square().mean())
    optimizer.step()


def _activations_above(network: Network, backbone: Backbone, inputs: Tensor) -> tuple[int, ...]:
    """Of one example; it stands last in the batch, and of texts that is the longest."""
    _train_everything(network, backbone)
    modules = dict(network.backbone.named_modules())  # a member may be a bare parameter, which does not run
    blocks = [[modules[path] for path in block.members if path in modules] for block in backbone.blocks]
    with mixed_precision(inputs.device):
        return activations_above(network, blocks, lambda: network(inputs[-1:]).square().mean())


def _train_everything(network: Network, backbone: Backbone) -> None:
    apply_partition(network, backbone.blocks, Partition(0))
    apply_modes(network, backbone.blocks, Partition(0), "inference")


def _exact_seconds(bank: FeatureBank, targets: NDArray[np.generic], task: Task) -> float:
    rows = np.random.default_rng(0).permutation(len(targets))[:_HEAD_ROWS]
    pooled, chosen = bank.pooled(), targets[rows]
    if pooled.spans is not None:  # each row is a sentence, and its words are what the head sees
        chosen = chosen[chosen != IGNORED]
        rows = pooled.spans.places(rows)
    started = time.perf_counter()
    fit_exact(pooled.final[rows], chosen, task.for_heads)
    return (time.perf_counter() - started) / min(len(targets), _HEAD_ROWS)


def _head_seconds(bank: FeatureBank, targets: NDArray[np.generic], task: Task) -> float:
    """By a short real fit: reading rows and judging epochs cost a small head more than its arithmetic."""
    (regime,) = resolve_regimes("mlp-head")
    rows = np.random.default_rng(0).permutation(len(targets))[:_HEAD_ROWS]
    recipe = resolve_recipe(regime, bank.backbone, cut=None, rows=len(rows), task=task)
    data = FitData(
        bank=bank, targets=targets, task=task, train=rows, validation=rows[: max(len(rows) // 4, 1)]
    )
    fit = Fit(recipe.with_epochs([_HEAD_EPOCHS]), data, seed=0)
    for _ in fit:
        pass
    return sum(record.seconds for record in fit.records) / (_HEAD_EPOCHS * len(rows))


def _flops(module: nn.Module, backbone: Backbone, inputs: Tensor) -> tuple[int, tuple[float, ...]]:
    """Forward operations of the whole, and the cumulative share of the blocks."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(inputs)
    total = counter.get_total_flops()
    counts = {name: sum(each.values()) for name, each in counter.get_flop_counts().items()}
    root = type(module).__name__
    own = [sum(counts.get(f"{root}.{member}", 0) for member in block.members) for block in backbone.blocks]
    if total == 0:
        return 0, tuple(0.0 for _ in range(len(backbone.blocks) + 1))
    return total, tuple(min(float(share), 1.0) for share in np.cumsum([0, *own]) / total)


def _trainable(network: Network, backbone: Backbone) -> tuple[int, ...]:
    counts = []
    for frozen in range(len(backbone.blocks) + 1):
        groups = trainable_parameters(network, backbone.blocks, Partition(frozen))
        counts.append(sum(p.numel() for name, ms in groups.items() if name != "head" for _, p in ms))
    return tuple(counts)
