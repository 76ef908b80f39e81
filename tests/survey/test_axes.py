"""The axes measured: on shapes that a network knows or does not, and on real data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cutpoint.advice.bands import distance_band
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.builtin import load_builtin
from cutpoint.backbones.digest import weights_digest
from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.vectors import vector_backbone
from cutpoint.data import load_dataset
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.survey.axes import measure_axes, sampled_rows
from cutpoint.survey.source_distance import source_distances
from cutpoint.types import Axes, Circumstances, Dataset, LayerProbe


def bank_of(dataset: Dataset, backbone: Backbone, cache: Path, rows: Any = None) -> FeatureBank:
    chosen = sampled_rows(dataset, 0) if rows is None else rows
    return FeatureBank(backbone, dataset, chosen, ActivationCache(cache))


def measure(bank: FeatureBank, curve: Any = (), seed: int = 0) -> Axes:
    return measure_axes(
        bank, curve=curve, predicted={}, budget_seconds=60.0, circumstances=Circumstances(), seed=seed
    )


@pytest.fixture(scope="module")
def data(stripes: Path) -> Dataset:
    return load_dataset(str(stripes), test_fraction=0.2)


def test_axes_of_pictures(data: Dataset, tmp_path: Path) -> None:
    axes = measure(bank_of(data, load_builtin(), tmp_path))
    counts = np.bincount(data.targets[data.splits["train"]])
    assert axes.rows == len(data.splits["train"]) and axes.classes == 3
    assert axes.per_class == np.median(counts) and axes.smallest_class == counts.min()
    assert axes.probe is not None and axes.chance is not None and axes.random_init is not None
    left = ((1 - axes.probe) / (1 - axes.chance), min((1 - axes.probe) / (1 - axes.random_init), 1.0))
    assert axes.distance == pytest.approx((left[0] * left[1]) ** 0.5)
    assert axes.to_source["batchnorm-frechet"] > 0


def test_same_seed_same_axes_and_torchs_random_state_is_left_alone(data: Dataset, tmp_path: Path) -> None:
    backbone = load_builtin()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = measure(bank_of(data, backbone, tmp_path / "one"))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    assert measure(bank_of(data, backbone, tmp_path / "two")) == first


def test_the_backbone_stays_as_it_was(data: Dataset, tmp_path: Path) -> None:
    backbone = load_builtin()
    measure(bank_of(data, backbone, tmp_path))
    assert weights_digest(backbone.module) == backbone.reference.digest
    assert not backbone.module.training


def test_random_weights_in_the_backbones_place_are_far(data: Dataset, tmp_path: Path) -> None:
    """A backbone that learned nothing adds nothing to random weights; what learned the strokes of digits does."""
    known = load_builtin()
    torch.manual_seed(1)
    module = known.rebuild().eval()
    blank = replace(
        known,
        module=module,
        reference=known.reference.model_copy(update={"digest": weights_digest(module), "name": "blank"}),
    )
    near = measure(bank_of(data, known, tmp_path / "known"))
    far = measure(bank_of(data, blank, tmp_path / "blank"))
    assert near.distance is not None and far.distance is not None
    assert near.distance < far.distance - 0.1


def test_best_depth_is_the_lowest_of_equals(data: Dataset, tmp_path: Path) -> None:
    curve = [
        LayerProbe(index=number, block=str(number), width=4, score=score)
        for number, score in enumerate((0.5, 0.8, 0.7, 0.8, 0.6, 0.6, 0.6), start=1)
    ]
    assert measure(bank_of(data, load_builtin(), tmp_path), curve).best_depth == pytest.approx(2 / 7)
    assert measure(bank_of(data, load_builtin(), tmp_path)).best_depth is None


def test_rows_of_numbers_have_no_distance(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(120, 4)).astype(np.float32)
    dataset = load_dataset(features, targets=(features[:, 0] > 0).astype(int))
    axes = measure(bank_of(dataset, vector_backbone(4), tmp_path))
    assert axes.probe is not None and axes.probe > 0.85
    assert axes.distance is None and axes.random_init is None and axes.to_source == {}


def test_values_are_probed_by_r2(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(120, 4)).astype(np.float32)
    targets = 100 * features[:, 0] + random.normal(size=120)
    dataset = load_dataset(features, targets=targets.astype(np.float32), metric="rmse")
    axes = measure(bank_of(dataset, vector_backbone(4), tmp_path))
    assert axes.probe is not None and 0.9 < axes.probe <= 1
    assert axes.chance == pytest.approx(0.0, abs=1e-6)
    assert axes.per_class is None and axes.classes == 0


def test_sampled_rows_are_of_the_training_split_and_never_single(data: Dataset) -> None:
    rows = sampled_rows(data, 0)
    assert set(rows) <= set(data.splits["train"]) and np.array_equal(rows, np.unique(rows))
    lonely = data.targets.copy()
    lonely[data.splits["train"][0]] = 2
    others = data.splits["train"][1:]
    lonely[others[lonely[others] == 2]] = 1
    kept = sampled_rows(replace(data, targets=lonely), 0)
    assert data.splits["train"][0] not in kept and len(kept) == len(others)


class Norm(nn.Module):
    """One BatchNorm over a single channel, and pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(images).mean((2, 3))


def test_batchnorms_distance_is_that_of_frechet(data: Dataset, tmp_path: Path) -> None:
    """Two normal distributions of one channel: (difference of means² + difference of deviations²) in source units."""
    backbone = replace(load_builtin(), module=Norm().eval(), blocks=())
    bank = bank_of(data, backbone, tmp_path, data.splits["train"][:40])
    pixels = bank.to_network(bank.prepared(np.arange(40))).double()
    norm = backbone.module.norm
    norm.running_mean.fill_(pixels.mean() - 2.0)
    norm.running_var.fill_(4 * pixels.var(correction=0) - norm.eps)
    found = source_distances(bank)["batchnorm-frechet"]
    deviation = 2 * pixels.std(correction=0).item()
    assert found == pytest.approx(((2.0 / deviation) ** 2 + 0.25) ** 0.5, rel=1e-4)
    norm.running_mean.fill_(pixels.mean())
    norm.running_var.fill_(pixels.var(correction=0) - norm.eps)
    assert source_distances(bank)["batchnorm-frechet"] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.slow
def test_real_domains_come_in_a_sensible_order(shared: Path, tmp_path: Path) -> None:
    """By the statistics that ImageNet left in BatchNorm: photos of clothes, circuit boards, blood cells. By the probe
    the cells come first: good features of anything tell their kinds apart."""
    found = {}
    for name in ("clothing10", "deeppcb6", "bccd3"):
        dataset = load_dataset(str(shared / "data" / "vision" / name))
        backbone = load_backbone(shared / "weights" / "mobilenetv2_035_tm", image_size=96)
        found[name] = measure(bank_of(dataset, backbone, tmp_path))
    shift = {name: axes.to_source["batchnorm-frechet"] for name, axes in found.items()}
    assert shift["clothing10"] < shift["deeppcb6"] < shift["bccd3"]
    bands = {name: distance_band(axes) for name, axes in found.items()}
    assert bands["deeppcb6"] == "distant" and bands["bccd3"] == "close"
