"""Steps count when their losses are read, and after the first loss that is no number nothing changes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cutpoint.backbones.backbone import Block
from cutpoint.heads.modules import LinearHead
from cutpoint.model import Network
from cutpoint.objectives import SupervisedLoss
from cutpoint.regimes import Phase
from cutpoint.regimes.recipe import Stage
from cutpoint.training.optimizer import optimizer_tensors
from cutpoint.training.state import FitState
from cutpoint.training.stepper import Stepper
from cutpoint.training.unread import UnreadLosses
from cutpoint.types import Task

CPU, ELSEWHERE = torch.device("cpu"), torch.device("meta")
"""A device whose numbers cost nothing to read, and one that has a queue."""
NONE: Any = None
TASK = Task(kind="multiclass", labels=("a", "b", "c"))


def counted(losses: list[float], device: torch.device) -> tuple[FitState, UnreadLosses]:
    state = FitState()
    unread = UnreadLosses(state, device)
    for loss in losses:
        unread.add(torch.tensor(loss), 4)
    return state, unread


def test_where_numbers_cost_nothing_each_step_counts_at_once() -> None:
    state, unread = counted([3.0, 1.0], CPU)
    assert (state.steps_done, state.seen, state.loss_sum, unread.steps) == (2, 8, 16.0, 0)
    assert (state.first_loss, state.worst_loss) == (3.0, 3.0)


def test_elsewhere_steps_wait_and_end_in_the_same_state() -> None:
    losses = [1.0 / number for number in range(1, 20)]
    state, unread = counted(losses, ELSEWHERE)
    assert state.steps_done + unread.steps == 19 and unread.steps > 0
    unread.read()
    unread.read()
    assert state == counted(losses, CPU)[0]


def test_no_step_counts_after_the_first_that_is_no_number() -> None:
    losses = [1.0, 2.0, float("nan"), 4.0]
    state, unread = counted(losses, ELSEWHERE)
    assert not state.diverged
    unread.read()
    unread.add(torch.tensor(5.0), 4)  # a step that had begun when somebody else read
    unread.read()
    assert state.diverged and (state.steps_done, state.loss_sum) == (2, 12.0)
    assert state == counted(losses, CPU)[0]


def stepper(optimizer: str) -> Stepper:
    torch.manual_seed(0)
    network = Network(nn.Sequential(nn.Linear(5, 4)), LinearHead(4, 3))
    stage = Stage(
        phase=Phase(rate=1e-2, batch_size=6, epochs=1, optimizer=optimizer, batchnorm="inference"),
        frozen_blocks=0,
    )
    return Stepper(network, (Block("0", ("0",)),), stage, SupervisedLoss(TASK), None, NONE, {}, TASK, None)


def step(own: Stepper, inputs: Tensor) -> float:
    source: Any = SimpleNamespace(features=own.network.backbone)
    targets = torch.arange(len(inputs)) % 3
    return float(own.step(source, (inputs,), targets, number=3, total=10, draw=(0, 0)))


def snapshot(own: Stepper) -> dict[str, Tensor]:
    held = {**own.network.state_dict(), **optimizer_tensors(own.optimizer)}
    return {name: value.clone() for name, value in held.items()}


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_weights_and_moments_stay_from_the_first_loss_on_that_is_no_number(optimizer: str) -> None:
    own = stepper(optimizer)
    good = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    start = snapshot(own)
    step(own, good)
    after = snapshot(own)
    assert not torch.equal(start["head.layers.weight"], after["head.layers.weight"])
    assert not torch.isfinite(torch.tensor(step(own, good / 0.0)))
    assert torch.isfinite(torch.tensor(step(own, good)))
    now = snapshot(own)
    assert now.keys() == after.keys()
    assert all(torch.equal(now[name], value) for name, value in after.items())


def test_groups_that_are_treated_alike_are_one() -> None:
    groups = stepper("adamw").optimizer.param_groups
    named = sorted(name for group in groups for name in group["parameter_names"])
    assert named == ["backbone.0.bias", "backbone.0.weight", "head.layers.bias", "head.layers.weight"]
    assert sorted(group["weight_decay"] for group in groups) == [0.0, 0.01]
