"""The contracts that rest on bit-equal arithmetic, on a real network and real photos."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cutpoint.backbones.load import load_backbone
from cutpoint.data.load import load_dataset
from cutpoint.data.splits import holdout
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.regimes import resolve_regimes
from cutpoint.regimes.recipe import Recipe, resolve_recipe
from cutpoint.training.fit import Fit, FitData


@pytest.fixture(scope="module")
def data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> FitData:
    dataset = load_dataset(str(shared / "data/vision/deeppcb6"), per_class=20)
    backbone = load_backbone(str(shared / "weights/mobilenetv2_035_tm"), image_size=96)
    rows = dataset.splits["train"]
    bank = FeatureBank(backbone, dataset, rows, ActivationCache(tmp_path_factory.mktemp("cache")))
    train, validation = holdout(dataset, rows, fraction=0.3, seed=0)
    return FitData(
        bank, dataset.targets[bank.rows], dataset.task, bank.positions(train), bank.positions(validation)
    )


def partial(data: FitData) -> Recipe:
    regime = resolve_regimes("partial")[0]
    recipe = resolve_recipe(regime, data.bank.backbone, cut=10, rows=len(data.train), task=data.task)
    return recipe.with_rate(1e-3).with_epochs([0, 3])


def finished(fit: Fit) -> dict[str, torch.Tensor]:
    for _ in fit:
        pass
    return fit.network.state_dict()


def test_cached_is_uncached_and_killed_is_straight(data: FitData, tmp_path: Path) -> None:
    """Bit for bit, where every batch is full: kernels differ in the last bit between a batch of 4 and of 16."""
    data = dataclasses.replace(data, train=data.train[: len(data.train) // 16 * 16])
    recipe = partial(data)
    straight_fit = Fit(recipe, data, seed=0)
    straight = finished(straight_fit)
    assert straight_fit.records[-1].train_loss < straight_fit.records[1].train_loss

    bank = FeatureBank(
        data.bank.backbone, data.bank.dataset, data.bank.rows, ActivationCache(tmp_path, limit=0)
    )
    live = finished(Fit(recipe, dataclasses.replace(data, bank=bank), seed=0))
    assert all(torch.equal(value, live[name]) for name, value in straight.items())

    killed = Fit(recipe, data, seed=0)
    for progress in killed:
        if progress.step == 8:
            killed.save(tmp_path / "fit")
            break
    resumed_fit = Fit(recipe, data, seed=0)
    assert resumed_fit.load(tmp_path / "fit")
    resumed = finished(resumed_fit)
    assert all(torch.equal(value, resumed[name]) for name, value in straight.items())
    scores = straight_fit.predict(data.validation)
    assert np.array_equal(scores, resumed_fit.predict(data.validation))
