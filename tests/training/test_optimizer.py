"""Optimizer groups, rates and state."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from cutpoint.backbones.backbone import Block
from cutpoint.heads.modules import LinearHead
from cutpoint.model import Network
from cutpoint.regimes import Phase
from cutpoint.regimes.groups import parameter_groups
from cutpoint.regimes.recipe import Stage
from cutpoint.training.optimizer import (
    build_optimizer,
    optimizer_tensors,
    rate_share,
    restore_optimizer,
    set_rates,
)

BLOCKS = tuple(Block(f"layer{number}", (f"layer{number}",)) for number in (1, 2, 3, 4))


class Layers(nn.Module):
    """Pointwise, depthwise and grouped convolutions: every memory layout that weights come in."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Conv2d(3, 8, 3, padding=1)
        self.layer2 = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.layer3 = nn.Sequential(nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16))
        self.layer4 = nn.Conv2d(16, 8, 5, stride=2, groups=2)
        self.token = nn.Parameter(torch.zeros(1, 8))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        for block in (self.layer1, self.layer2, self.layer3, self.layer4):
            inputs = block(inputs).relu()
        return inputs.mean((2, 3)) + self.token


def network() -> Network:
    torch.manual_seed(0)
    return Network(
        Layers(), LinearHead(8, 3)
    ).eval()  # a bias in front of batch statistics has only noise for a gradient


def stage(frozen_blocks: int = 0, **facts: object) -> Stage:
    return Stage(phase=Phase(**{"rate": 1e-2, **facts}), frozen_blocks=frozen_blocks)


def rates(stage: Stage) -> dict[str, float]:
    return {group["name"]: group["lr"] for group in parameter_groups(network(), BLOCKS, stage)}


def test_explicit_rates_of_the_tutorials() -> None:
    explicit = {"head": 1e-4, "layer4": 3e-5, "layer3": 1e-5, "layer2": 3e-6, "layer1": 1e-6}
    found = rates(stage(rates=explicit))
    for name, rate in found.items():
        block = name.removesuffix(".vectors")
        assert rate == explicit.get(block, 1e-2)


def test_decay_by_blocks_above() -> None:
    found = rates(stage(decay=0.5))
    assert found["head"] == found["layer4"] == 1e-2
    assert found["layer3"] == pytest.approx(1e-2 * 0.5)
    assert found["layer1"] == pytest.approx(1e-2 * 0.5**3)
    assert found["uncovered"] == pytest.approx(1e-2 * 0.5**3)


def test_rate_of_the_head_and_weight_decay_of_vectors() -> None:
    groups = parameter_groups(network(), BLOCKS, stage(2, head_rate=0.5, weight_decay=0.1))
    assert {group["lr"] for group in groups if group["name"].startswith("head")} == {0.5}
    for group in groups:
        assert group["weight_decay"] == (0.0 if group["name"].endswith(".vectors") else 0.1)
        assert all((p.ndim <= 1) == group["name"].endswith(".vectors") for p in group["params"])
    assert {group["name"].removesuffix(".vectors") for group in groups} == {"layer3", "layer4", "head"}


def test_warmup_over_a_tenth_then_cosine_to_almost_zero() -> None:
    shares = [rate_share(stage(), step, 100) for step in range(100)]
    assert shares[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert all(later < earlier for earlier, later in pairwise(shares[9:]))
    assert shares[54] == pytest.approx(0.5, abs=0.03) and 0 < shares[99] < 1e-3
    constant = [rate_share(stage(schedule="constant", warmup=0.0), step, 5) for step in range(5)]
    assert constant == [1.0] * 5
    optimizer = build_optimizer(network(), BLOCKS, stage(decay=0.5))
    assert set_rates(optimizer, stage(decay=0.5), 54, 100) == pytest.approx(1e-2 * shares[54])


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_fused_steps_on_channels_last_weights_equal_plain_ones(name: str) -> None:
    def train(fused: bool, channels_last: bool, steps: int, resume_at: int | None = None) -> Network:
        net = network()
        if not channels_last:
            net.to(memory_format=torch.contiguous_format)
        assert channels_last != net.backbone.layer1.weight.is_contiguous()
        current = stage(optimizer=name, weight_decay=0.1)
        optimizer = build_optimizer(net, BLOCKS, current)
        for group in optimizer.param_groups:
            group["fused"] = fused
        generator = torch.Generator().manual_seed(1)
        for step in range(steps):
            if step == resume_at:
                saved = {
                    key: value.contiguous().clone() for key, value in optimizer_tensors(optimizer).items()
                }
                optimizer = build_optimizer(net, BLOCKS, current)
                restore_optimizer(optimizer, saved)
            inputs = torch.randn(4, 3, 8, 8, generator=generator)
            inputs = inputs.contiguous(memory_format=torch.channels_last) if channels_last else inputs
            optimizer.zero_grad()
            net(inputs).square().mean().backward()
            optimizer.step()
        return net

    reference = train(fused=False, channels_last=False, steps=6).state_dict()
    fused = train(fused=True, channels_last=True, steps=6).state_dict()
    start = network().state_dict()
    for key, value in reference.items():
        torch.testing.assert_close(fused[key], value, rtol=1e-3, atol=1e-5)
    assert not torch.equal(start["backbone.layer2.weight"], fused["backbone.layer2.weight"])
    resumed = train(fused=True, channels_last=True, steps=6, resume_at=3).state_dict()
    assert all(torch.equal(resumed[key], fused[key]) for key in fused)


def test_state_of_blocks_frozen_since_is_left_out() -> None:
    net = network()
    optimizer = build_optimizer(net, BLOCKS, stage())
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    smaller = build_optimizer(copy.deepcopy(net), BLOCKS, stage(3))
    restore_optimizer(smaller, optimizer_tensors(optimizer))
    kept = {key.split("/")[1] for key in optimizer_tensors(smaller)}
    assert kept == {
        "backbone.layer4.weight", "backbone.layer4.bias", "head.layers.weight", "head.layers.bias"
    }  # fmt: skip
