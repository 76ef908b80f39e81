"""Pooled features of a bank by another engine: close to the network's own, kept apart from them, chosen once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.from_module import from_module
from cutpoint.backbones.load import load_backbone
from cutpoint.data.load import load_dataset
from cutpoint.engines import choose
from cutpoint.engines.names import BATCH_SIZE, EngineChoice, EngineRequest, Measured
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.heads.exact import fit_exact
from cutpoint.types import Dataset, ImagePreprocessing, Task

COUNT = 45


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """A convolution with BatchNorm, then one without."""
    torch.manual_seed(0)
    parts = [torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 4, 3)]
    preprocessing = ImagePreprocessing(
        size=(12, 12), resize=12, mean=(0.5,) * 3, std=(0.5,) * 3, made_by="test"
    )
    return from_module(torch.nn.Sequential(*parts).eval(), preprocessing=preprocessing)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    random = np.random.default_rng(0)
    return Dataset(
        source="generated",
        modality="image",
        task=Task(kind="binary", labels=("a", "b")),
        inputs=[random.integers(0, 255, (14, 14, 3), dtype=np.uint8) for _ in range(COUNT)],
        targets=np.arange(COUNT) % 2,
        splits={"train": np.arange(COUNT)},
        keys=tuple(f"key {row}" for row in range(COUNT)),
        names=tuple(f"row {row}" for row in range(COUNT)),
    )


def bank(
    backbone: Backbone,
    dataset: Dataset,
    folder: Path,
    engine: EngineRequest | EngineChoice,
    limit: int = 1 << 30,
) -> FeatureBank:
    return FeatureBank(backbone, dataset, np.arange(COUNT), ActivationCache(folder, limit), engine=engine)


def test_features_of_another_engine_are_close_and_kept_apart(
    backbone: Backbone, dataset: Dataset, tmp_path: Path
) -> None:
    own, folded = (bank(backbone, dataset, tmp_path, engine) for engine in ("eager", "fused"))
    expected, found = own.pooled(), folded.pooled()
    assert own.engine == EngineChoice()
    assert isinstance(folded.engine, EngineChoice) and folded.engine.engine == "fused"
    for one, other in zip((expected.final, *expected.blocks), (found.final, *found.blocks), strict=True):
        assert float(np.abs(one - other).max()) <= choose.TOLERANCE * float(np.abs(one).max())
    assert len(list(tmp_path.glob("*.npy"))) == 3  # prepared images, and features twice
    again = bank(backbone, dataset, tmp_path, "eager").pooled()
    assert np.array_equal(again.final, expected.final)


def test_what_was_chosen_holds_for_whoever_goes_on(
    backbone: Backbone, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the record beside the cache; where nothing may be kept, by the plan."""
    first = bank(backbone, dataset, tmp_path, "fused")
    features = first.pooled().final

    def refuse(*_: object) -> None:
        raise AssertionError("a choice that was made is not made again")

    monkeypatch.setattr("cutpoint.features.frozen_pass.choose_engine", refuse)
    again = bank(backbone, dataset, tmp_path, "fused")
    assert np.array_equal(again.pooled().final, features) and again.engine == first.engine
    planned = bank(backbone, dataset, tmp_path / "none", first.engine, limit=0)
    assert np.array_equal(planned.pooled().final, features) and planned.engine == first.engine
    assert not (tmp_path / "none").exists()
    bank(backbone, dataset, tmp_path, "eager").pooled()
    own = bank(backbone, dataset, tmp_path, "auto")
    own.pooled()
    assert isinstance(own.engine, EngineChoice) and own.engine.reason.startswith("the network itself had")


def test_dead_units_say_nothing_where_engines_disagree_on_them(
    backbone: Backbone, dataset: Dataset, tmp_path: Path
) -> None:
    """A unit of 1e-33 that another engine has as 1e-35 would be all that a head of the one hears from the other."""

    class Dying(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)
            self.last = torch.nn.Conv2d(4, 4, 1)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            scale = torch.tensor([1.0, 1.0, 1.0, 1e-33]).view(-1, 1, 1)
            return (self.last(self.norm(self.first(inputs))) * scale).mean((2, 3))

    dying = from_module(Dying().eval(), preprocessing=backbone.preprocessing)
    own = bank(dying, dataset, tmp_path, "eager").pooled().final
    found = bank(dying, dataset, tmp_path, "fused").pooled().final
    assert own[:, 3].any() and not found[:, 3].any()
    np.testing.assert_allclose(found[:, :3], own[:, :3], rtol=1e-4, atol=1e-5)


def test_the_size_of_batches_follows_the_choice(backbone: Backbone, dataset: Dataset, tmp_path: Path) -> None:
    told: list[int] = []
    choice = EngineChoice(engine="fused", batch_size=8, measured={"fused": Measured(row_seconds=0.1)})
    made = FeatureBank(
        backbone,
        dataset,
        np.arange(COUNT),
        ActivationCache(tmp_path),
        lambda what, done, total: told.append(done) if what == "computing features" else None,
        engine=choice,
    )
    made.pooled()
    assert told == [0, 8, 16, 24, 32, 40, COUNT]
    assert BATCH_SIZE != 8
    assert np.array_equal(bank(backbone, dataset, tmp_path, choice).pooled().final, made.pooled().final)


@pytest.mark.parametrize("features_first", [False, True], ids=["nothing there", "features there"])
def test_activations_at_a_known_cut_come_from_the_engine_too(
    backbone: Backbone, dataset: Dataset, tmp_path: Path, features_first: bool
) -> None:
    """Whatever the cache held: the same are trained on. At other cuts they are the network's own."""
    told: list[str] = []

    def made(folder: str) -> FeatureBank:
        cache = ActivationCache(tmp_path / folder)
        return FeatureBank(
            backbone, dataset, np.arange(COUNT), cache, lambda what, *_: told.append(what), "fused", cut=2
        )

    if features_first:
        bank(backbone, dataset, tmp_path / "one", "fused").pooled()
    first, own = made("one"), bank(backbone, dataset, tmp_path / "own", "eager")
    first.pooled()
    told.clear()
    found, expected = first.activations(2), own.activations(2)
    assert told == [] and found is not None and expected is not None
    assert found.layout == expected.layout
    assert not np.array_equal(found.arrays[0], expected.arrays[0])
    scale = float(np.abs(expected.arrays[0]).max())
    assert float(np.abs(found.arrays[0] - expected.arrays[0]).max()) <= choose.TOLERANCE * scale
    again = made("two")
    again.pooled()
    second = again.activations(2)
    assert second is not None and np.array_equal(second.arrays[0], found.arrays[0])
    other, same = first.activations(1), own.activations(1)
    assert other is not None and same is not None and np.array_equal(other.arrays[0], same.arrays[0])


def test_half_precision_is_too_coarse_to_train_on(
    backbone: Backbone, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "_OPENERS", {**choose._OPENERS, "half": choose._OPENERS["eager"]})
    made = FeatureBank(backbone, dataset, np.arange(COUNT), ActivationCache(tmp_path), engine="half", cut=2)
    made.pooled()
    found, own = made.activations(2), bank(backbone, dataset, tmp_path / "own", "eager").activations(2)
    assert isinstance(made.engine, EngineChoice) and made.engine.engine == "half"
    # Images, features, and activations after a pass of their own.
    assert len(list(tmp_path.glob("*.npy"))) == 3
    assert found is not None and own is not None and np.array_equal(found.arrays[0], own.arrays[0])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fused", "openvino", "onnxruntime", "compile"])
def test_a_head_on_photos_is_as_good_by_any_engine(
    shared: Path, tmp_path: Path, engine: EngineRequest
) -> None:
    if engine not in ("fused", "compile"):
        pytest.importorskip(engine)
    dataset = load_dataset(str(shared / "data/vision/deeppcb6"), per_class=40)
    backbone = load_backbone(str(shared / "weights/mobilenetv2_035_tm"), image_size=96)
    rows = dataset.splits["train"]
    own, other = (
        FeatureBank(
            backbone, dataset, rows, ActivationCache(tmp_path), engine=each, cut=len(backbone.blocks) - 2
        )
        for each in ("eager", engine)
    )
    expected, found = own.pooled().final, other.pooled().final
    assert isinstance(other.engine, EngineChoice) and other.engine.engine == engine, other.engine
    assert float(np.abs(expected - found).max()) <= choose.TOLERANCE * float(np.abs(expected).max())
    below, other_below = (each.activations(len(backbone.blocks) - 2) for each in (own, other))
    assert below is not None and other_below is not None
    scale = float(np.abs(below.arrays[0]).max())
    assert 0 < float(np.abs(below.arrays[0] - other_below.arrays[0]).max()) <= choose.TOLERANCE * scale
    targets = dataset.targets[own.rows]
    heads = [fit_exact(features, targets, dataset.task).head for features in (expected, found)]
    with torch.no_grad():
        answers = [head(torch.from_numpy(np.array(expected))).argmax(1) for head in heads]
    assert torch.equal(*answers)
