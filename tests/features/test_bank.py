"""What a bank computes, keeps and reads again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny_texts
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.builtin import load_builtin
from cutpoint.backbones.from_module import from_module
from cutpoint.backbones.load import load_backbone
from cutpoint.features.augmentation import augment
from cutpoint.features.bank import BATCH_SIZE, FeatureBank
from cutpoint.features.cut import Cut
from cutpoint.features.store import ActivationCache
from cutpoint.types import Dataset, Task

ROWS = np.array([1, 2, 4, 5, *range(8, 45)])


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_builtin()


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    random = np.random.default_rng(0)
    count = 45
    return Dataset(
        source="generated",
        modality="image",
        task=Task(kind="binary", labels=("a", "b")),
        inputs=[random.integers(0, 255, (40, 36, 3), dtype=np.uint8) for _ in range(count)],
        targets=np.arange(count) % 2,
        splits={"train": np.arange(count)},
        keys=tuple(f"key {row}" for row in range(count)),
        names=tuple(f"row {row}" for row in range(count)),
    )


def bank(backbone: Backbone, dataset: Dataset, folder: Path, **options: int) -> FeatureBank:
    return FeatureBank(backbone, dataset, ROWS[::-1], ActivationCache(folder, **options))


def test_positions_and_rows_that_are_not_there(backbone: Backbone, dataset: Dataset, tmp_path: Path) -> None:
    made = bank(backbone, dataset, tmp_path)
    assert made.positions(np.array([4, 1, 44])).tolist() == [2, 0, len(ROWS) - 1]
    for missing in (0, 3, 45):
        with pytest.raises(KeyError, match="does not hold"):
            made.positions(np.array([missing]))


def test_prepared_from_the_cache_is_live_decoding(
    backbone: Backbone, dataset: Dataset, tmp_path: Path
) -> None:
    made, positions = bank(backbone, dataset, tmp_path), np.array([3, 0, 17])
    live = made.prepared(positions)
    assert made.store_prepared() and made.store_prepared()
    again = bank(backbone, dataset, tmp_path).prepared(positions)
    assert live.dtype == again.dtype == torch.uint8
    assert torch.equal(live, made.prepared(positions)) and torch.equal(live, again)
    expected = [backbone.inputs.prepare(dataset.inputs[ROWS[position]]) for position in positions]
    assert np.array_equal(live.numpy(), np.stack(expected))
    assert not bank(backbone, dataset, tmp_path / "full", limit=10).store_prepared()


def test_pooled_features_are_the_networks_own(backbone: Backbone, dataset: Dataset, tmp_path: Path) -> None:
    made = bank(backbone, dataset, tmp_path)
    pooled = made.pooled()
    with torch.inference_mode():
        features = backbone.module(made.to_network(made.prepared(np.arange(len(ROWS)))))
    assert np.array_equal(pooled.final, features.numpy())
    assert [block.shape[0] for block in pooled.blocks] == [len(ROWS)] * len(backbone.blocks)
    uncached = bank(backbone, dataset, tmp_path / "none", limit=0).pooled()
    again = bank(backbone, dataset, tmp_path).pooled()
    for one, two, three in zip(pooled.blocks, uncached.blocks, again.blocks, strict=True):
        assert np.array_equal(one, two) and np.array_equal(one, three)


def test_activations_and_views(backbone: Backbone, dataset: Dataset, tmp_path: Path) -> None:
    made, positions, cut = bank(backbone, dataset, tmp_path), np.array([7, 2, 40]), 2
    split = Cut(backbone.module, backbone.blocks, cut, backbone.inputs)

    def expected(prepared: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return split.prefix(backbone.inputs.to_network(prepared))

    plain = made.activations(cut)
    assert plain is not None
    read = plain.read(positions, 5)
    assert torch.equal(read, expected(made.prepared(positions)))
    assert read.stride() == expected(made.prepared(positions)).stride()
    assert made.activation_bytes(cut) == plain.arrays[0].nbytes

    views = made.activations(cut, views=2, kind="crop", seed=1)
    assert views is not None
    for epoch in (0, 1, 2):
        drawn = augment(made.prepared(positions), "crop", 1, epoch % 2, ROWS[positions].tolist())
        assert torch.equal(views.read(positions, epoch), expected(drawn))
    assert not torch.equal(views.read(positions, 0), views.read(positions, 1))
    assert bank(backbone, dataset, tmp_path, limit=10).activations(cut) is None


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_a_known_cut_comes_out_of_the_pass_that_pools(
    kind: str, backbone: Backbone, dataset: Dataset, tmp_path: Path
) -> None:
    if kind == "texts":
        backbone = load_backbone(tiny_texts.save_encoder(tmp_path / "encoder"))
        dataset = dataclasses.replace(
            dataset, modality="text", inputs=tiny_texts.sentences(len(dataset.targets))
        )
    cut, told = 1, []

    def made(folder: str, known: int | None) -> FeatureBank:
        cache = ActivationCache(tmp_path / folder)
        return FeatureBank(backbone, dataset, ROWS, cache, lambda what, *_: told.append(what), cut=known)

    at_once, apart = made("at once", cut), made("apart", None)
    pooled, expected = at_once.pooled(), apart.pooled()
    assert np.array_equal(pooled.final, expected.final)
    assert all(map(np.array_equal, pooled.blocks, expected.blocks))
    told.clear()
    found = at_once.activations(cut)
    assert told == []
    computed = apart.activations(cut)
    assert found is not None and computed is not None and told
    assert np.array_equal(found.arrays[0], computed.arrays[0])
    again = made("at once", cut)
    told.clear()
    assert np.array_equal(again.pooled().final, expected.final) and set(told) <= {"reading the data"}


class _Twofold(torch.nn.Module):
    """A block that puts out a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, inputs: tuple[torch.Tensor, int] | torch.Tensor) -> tuple[torch.Tensor, int]:
        maps = inputs[0] if isinstance(inputs, tuple) else inputs
        return self.convolution(maps), 7


class _OfTuples(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = _Twofold(), _Twofold(), _Twofold()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.third(self.second(self.first(inputs)))[0].mean((2, 3))


def test_blocks_may_put_out_tuples(dataset: Dataset, tmp_path: Path, backbone: Backbone) -> None:
    """Which of several tensors is the activation is found out outside of the pass: inside it would not end."""
    network = from_module(_OfTuples().eval(), preprocessing=backbone.preprocessing)
    at_once = FeatureBank(network, dataset, ROWS, ActivationCache(tmp_path / "one"), cut=2)
    at_once.pooled()
    found, expected = at_once.activations(2), bank(network, dataset, tmp_path / "two").activations(2)
    assert found is not None and expected is not None
    assert np.array_equal(found.arrays[0], expected.arrays[0])


def test_a_known_cut_without_room_leaves_the_features(
    backbone: Backbone, dataset: Dataset, tmp_path: Path
) -> None:
    cache = ActivationCache(tmp_path, limit=10)
    made = FeatureBank(backbone, dataset, ROWS, cache, cut=1)
    assert len(made.pooled().final) == len(ROWS) and made.activations(1) is None


def test_everything_is_computed_once(backbone: Backbone, dataset: Dataset, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def make() -> None:
        made = FeatureBank(
            backbone, dataset, ROWS, ActivationCache(tmp_path), lambda *facts: told.append(facts)
        )
        made.store_prepared()
        made.pooled()
        made.activations(2)

    make()
    whats = list(dict.fromkeys(what for what, _, _ in told))
    assert whats == ["reading the data", "computing features", "computing activations after 2 blocks"]
    assert [done for what, done, _ in told if what == whats[1]] == [0, BATCH_SIZE, len(ROWS)]
    told.clear()
    make()
    assert told == []


@pytest.mark.parametrize("decodes_first", [True, False], ids=["on a CPU", "on a GPU"])
def test_what_a_pass_reads_is_kept_and_half_a_pass_keeps_nothing(
    backbone: Backbone, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decodes_first: bool
) -> None:
    monkeypatch.setattr(FeatureBank, "_decodes_first", decodes_first)
    told: list[str] = []

    def interrupt(what: str, done: int, total: int) -> None:
        told.append(what)
        if done:
            raise KeyboardInterrupt

    cache = ActivationCache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        FeatureBank(backbone, dataset, ROWS, cache, interrupt).pooled()
    assert not list(tmp_path.glob("*.json"))
    told.clear()
    made = FeatureBank(backbone, dataset, ROWS, cache, lambda what, *_: told.append(what))
    made.pooled()
    assert set(told) == {"computing features"} | ({"reading the data"} if decodes_first else set())
    told.clear()
    assert made.store_prepared() and told == []
    expected = [backbone.inputs.prepare(dataset.inputs[row]) for row in ROWS]
    assert np.array_equal(made.prepared(np.arange(len(ROWS))).numpy(), np.stack(expected))


def test_equal_weights_put_together_otherwise_share_nothing(
    backbone: Backbone, dataset: Dataset, tmp_path: Path
) -> None:
    class Doubled(torch.nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            output: torch.Tensor = super().forward(inputs) * 2
            return output

    torch.manual_seed(0)
    parts = [torch.nn.Conv2d(backbone.preprocessing.channels, 4, 3), torch.nn.Conv2d(4, 4, 3)]
    made = [
        from_module(kind(*parts), preprocessing=backbone.preprocessing)
        for kind in (torch.nn.Sequential, Doubled)
    ]
    assert made[0].reference.digest == made[1].reference.digest
    one, two = (bank(each, dataset, tmp_path).pooled() for each in made)
    np.testing.assert_allclose(two.final, 2 * one.final, rtol=1e-5)
    fewer = dataclasses.replace(made[0], blocks=made[0].blocks[:1])
    assert len(bank(fewer, dataset, tmp_path).pooled().blocks) == 1
