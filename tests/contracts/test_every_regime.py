"""What must hold for every regime of the table on every kind of backbone."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cutpoint.regimes import Regime, named_regimes
from cutpoint.regimes.groups import parameter_groups
from cutpoint.regimes.partition import apply_partition
from cutpoint.training.fit import Fit

REGIMES = pytest.mark.parametrize("regime", named_regimes(), ids=lambda regime: regime.name)
KINDS = pytest.mark.parametrize("kind", ["convolutional", "transformer"])
Benches = Callable[..., Any]


def run(fit: Fit) -> Fit:
    for _ in fit:
        pass
    return fit


def weights(fit: Fit) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in fit.network.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert different == []


def without_seconds(fit: Fit) -> list[dict[str, Any]]:
    return [{**record.model_dump(), "seconds": 0} for record in fit.records]


@pytest.fixture(scope="module")
def straight(benches: Benches) -> Callable[[Regime, str], Fit]:
    """The finished fit of a regime, made once."""
    made: dict[tuple[str, str], Fit] = {}

    def fit(regime: Regime, kind: str) -> Fit:
        key = (regime.name, kind)
        if key not in made:
            made[key] = run(benches(kind).fit(regime))
        return made[key]

    return fit


@REGIMES
@KINDS
def test_loss_falls(regime: Regime, kind: str, benches: Benches) -> None:
    bench = benches(kind)
    starts_solved = regime.phases[0].solver == "exact"  # near the optimum of the head: small steps from there
    fit = bench.fit(regime, epochs=8, rate=1e-3 if starts_solved else 3e-3)
    data, chance = fit.data, math.log(3)
    before = np.log(fit.predict(data.train)[np.arange(len(data.train)), data.targets[data.train]])
    run(fit)
    after = np.log(fit.predict(data.train)[np.arange(len(data.train)), data.targets[data.train]])
    assert -after.mean() < -before.mean()
    assert fit.state.best_epoch >= 0 and fit.state.best < 1.2 * chance


@REGIMES
@KINDS
def test_frozen_parameters_and_buffers_stay_bit_identical(
    regime: Regime, kind: str, benches: Benches
) -> None:
    bench = benches(kind)
    if regime.init == "random":
        pytest.skip("nothing is frozen")
    pretrained = {name: value.clone() for name, value in bench.backbone.module.state_dict().items()}
    fit = run(bench.fit(regime, data=bench.unjudged))
    lowest = min(stage.frozen_blocks for stage in fit.recipe.stages)
    trains_batchnorm = any(stage.phase.batchnorm != "inference" for stage in fit.recipe.stages)
    below = tuple(f"{block.name}." for block in bench.backbone.blocks[:lowest])
    now = fit.network.backbone.state_dict()
    moved = {name for name in now if not torch.equal(now[name], pretrained[name])}
    parameters = {name for name, _ in fit.network.backbone.named_parameters()}
    assert not {name for name in moved if name.startswith(below)}
    assert trains_batchnorm or moved <= parameters
    above = {name for name in parameters if not name.startswith(below)} - {"token"}
    assert moved & parameters >= (set() if regime.is_head_only else above)
    assert all(
        torch.equal(value, pretrained[name]) for name, value in bench.backbone.module.state_dict().items()
    )


@REGIMES
@KINDS
def test_each_trainable_parameter_is_in_exactly_one_group(
    regime: Regime, kind: str, benches: Benches
) -> None:
    fit = benches(kind).fit(regime)
    for stage in (stage for stage in fit.recipe.stages if stage.phase.solver == "gradient"):
        apply_partition(fit.network, fit.blocks, stage.partition)
        groups = parameter_groups(fit.network, fit.blocks, stage)
        grouped = [id(parameter) for group in groups for parameter in group["params"]]
        trainable = {id(parameter) for parameter in fit.network.parameters() if parameter.requires_grad}
        assert len(grouped) == len(set(grouped))
        assert set(grouped) == trainable
        names = dict(fit.network.named_parameters())
        for group in groups:
            pairs = zip(group["parameter_names"], group["params"], strict=True)
            assert all(names[name] is parameter for name, parameter in pairs)


@REGIMES
@KINDS
def test_killed_and_resumed_is_the_straight_run(
    regime: Regime, kind: str, benches: Benches, straight: Callable[[Regime, str], Fit], tmp_path: Path
) -> None:
    expected = straight(regime, kind)
    events = expected.state.steps_done + len(expected.records)
    stop = int(np.random.default_rng(len(regime.name)).integers(1, events + 1))
    killed = benches(kind).fit(regime)
    for number, _ in enumerate(killed, start=1):
        if number == stop:
            killed.save(tmp_path / "fit.safetensors")
            break
    torch.manual_seed(99)  # another process has another random state
    resumed = benches(kind).fit(regime)
    assert resumed.load(tmp_path / "fit.safetensors")
    run(resumed)
    assert_same(weights(resumed), weights(expected))
    assert without_seconds(resumed) == without_seconds(expected)


@REGIMES
@KINDS
def test_cached_is_uncached(
    regime: Regime, kind: str, benches: Benches, straight: Callable[[Regime, str], Fit]
) -> None:
    uncached = run(benches(kind, limit=0).fit(regime))
    assert not list(uncached.data.bank.cache.folder.glob("*.npy"))
    assert_same(weights(uncached), weights(straight(regime, kind)))


@REGIMES
def test_same_seed_same_result_and_another_seed_another(
    regime: Regime, benches: Benches, straight: Callable[[Regime, str], Fit]
) -> None:
    bench, expected = benches(), straight(regime, "convolutional")
    assert_same(weights(run(bench.fit(regime))), weights(expected))
    if not regime.is_exact:
        other = weights(run(bench.fit(regime, data=bench.unjudged, seed=1)))
        same = weights(run(bench.fit(regime, data=bench.unjudged)))
        assert not torch.equal(list(other.values())[-1], list(same.values())[-1]) or any(
            not torch.equal(other[name], same[name]) for name in same
        )
