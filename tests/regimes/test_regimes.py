"""The table, users' files, and how a regime becomes a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.builtin import load_builtin
from cutpoint.errors import BackboneError, RegimeError
from cutpoint.heads.modules import LinearHead
from cutpoint.model import Network
from cutpoint.regimes import Phase, Regime, named_regimes, read_regime, resolve_regimes
from cutpoint.regimes.partition import Partition, apply_modes, apply_partition
from cutpoint.regimes.recipe import partition_of, resolve_recipe
from cutpoint.types import Task

TASK = Task(kind="multiclass", labels=("a", "b", "c"))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_builtin()


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_users_file(tmp_path: Path) -> None:
    path = write(tmp_path, "phases:\n- {train: layer4, rate: 1e-4, rates: {head: 0.01}}\nkeep: metric\n")
    regime = read_regime(path)
    assert (regime.name, regime.phases[0].train, regime.phases[0].rates) == ("mine", "layer4", {"head": 0.01})
    assert resolve_regimes([str(path), "full"])[0] == regime


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("phases:\n- {train: head, rat: 1}\n", "phases.0.rat"),
        ("phases:\n- {train: head, decay: 2}\n", "phases.0.decay"),
        ("phases:\n- {train: head}\nobjective: {label_smoothing: 1.5}\n", "objective.label_smoothing"),
        ("summary: no phases\n", "phases"),
        ("phases:\n- {train: all, batch_size: 0}\n", "phases.0.batch_size"),
        ("phases:\n- {train: all, rate: -1}\n", "phases.0.rate"),
        ("phases:\n- {train: all, epochs: 0}\n", "without epochs"),
        ("phases:\n- {train: all, solver: exact}\n", "the head alone"),
        ("head: mlp\nphases:\n- {train: head, solver: exact}\n", "a linear head"),
        ("head: trees\nphases:\n- {train: head}\n", 'solver "boosting" alone'),
        ("phases:\n- {train: head, solver: boosting}\n", 'solver "boosting" alone'),
        ("phases:\n- {train: all, until_plateau: true}\n", "one_block_at_a_time"),
        ("phases:\n- {train: head, one_block_at_a_time: true}\n", "no block to unfreeze"),
        ("name: ../elsewhere\nphases:\n- {train: head}\n", "name"),
        ("phases: []\n", "phases"),
        ("phases:\n- {train: adapter}\n", 'train "adapter"'),
        ("adapter: {kind: lora}\nphases:\n- {train: all}\n", 'train "adapter"'),
        ("adapter: {kind: ia3, rank: 4}\nphases:\n- {train: adapter}\n", "does not read 'rank'"),
        (
            "adapter: {kind: lora}\nphases:\n- {train: adapter}\nobjective: {l2_sp: 0.1}\n",
            "not pretrained",
        ),
        ("phases:\n- {train: all, micro_batch: 4, batchnorm: train}\n", "statistics of parts"),
        ("phases:\n- {train: all, micro_batch: 4, loss: contrastive}\n", "all pairs"),
        ("phases:\n- {train: head, loss: contrastive}\n- {train: head}\n", "blocks to train"),
        ("phases:\n- {train: all, loss: contrastive}\n", "let a phase follow"),
        ("adapter: {kind: lora}\nphases:\n- {train: adapter}\n- {train: all}\n", "stays frozen"),
        ("- 1\n", "does not hold keys"),
        ("phases: [\n", "is not YAML"),
    ],
)
def test_mistakes_name_the_file_and_the_key(tmp_path: Path, text: str, part: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(RegimeError) as caught:
        read_regime(path)
    assert str(path) in caught.value.message and part in caught.value.message


def test_missing_file_and_unknown_and_repeated_names(tmp_path: Path) -> None:
    with pytest.raises(RegimeError, match="cannot be read"):
        resolve_regimes(str(tmp_path / "none.yaml"))
    with pytest.raises(RegimeError, match="Did you mean partial"):
        resolve_regimes("partail")
    with pytest.raises(RegimeError, match="named twice"):
        resolve_regimes(["full", "full"])


@pytest.mark.parametrize(
    ("audience", "first", "without"),
    [
        ("image", "linear-probe", {"unchanged", "setfit", "lora", "gradient-boosting"}),
        ("text", "linear-probe", {"unchanged", "gradient-boosting"}),
        ("language", "unchanged", {"linear-probe", "mlp-head", "setfit", "scratch", "gradient-boosting"}),
        ("features", "linear-probe", {"unchanged", "setfit", "lora", "partial", "full", "scratch"}),
    ],
)
def test_auto_is_a_part_of_all_cheapest_first(audience: Any, first: str, without: set[str]) -> None:
    automatic = [regime.name for regime in resolve_regimes("auto", audience)]
    everything = [regime.name for regime in resolve_regimes("all")]
    assert automatic[0] == first and not without & set(automatic)
    assert automatic == [name for name in everything if name in automatic]
    raced = {"linear-probe", "mlp-head", "setfit", "lora", "partial", "full", "scratch", "unchanged"}
    raced |= {"gradient-boosting"}
    assert set(automatic) == raced - without
    assert len(everything) == len(set(everything)) == len(named_regimes())
    assert all(regime.summary and regime.attributes.data for regime in named_regimes())


def divided(phase: Phase, backbone: Backbone, cut: int | str | None) -> Partition:
    return partition_of(Regime(name="x", phases=(phase,)), phase, backbone, cut)


def test_cut_by_number_name_and_pattern(backbone: Backbone) -> None:
    last, blocks = backbone.blocks[-1].name, len(backbone.blocks)
    assert divided(Phase(train="cut"), backbone, 2) == Partition(2)
    assert divided(Phase(train="cut"), backbone, last) == Partition(blocks - 1)
    assert divided(Phase(train="*.weight"), backbone, None) == Partition(0, "*.weight")
    assert divided(Phase(train="head"), backbone, 2) == Partition(blocks)
    with pytest.raises(RegimeError, match="no cut is given"):
        divided(Phase(train="cut"), backbone, None)
    with pytest.raises(BackboneError, match="has no cut"):
        divided(Phase(train="nowhere"), backbone, None)


def test_pattern_trains_only_what_it_matches(backbone: Backbone) -> None:
    network = Network(backbone.module, LinearHead(backbone.width, 2))
    apply_partition(network, backbone.blocks, Partition(1, "*.bias"))
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert {"head.layers.weight", "head.layers.bias"} < trained
    assert all(name.startswith("head.") or name.endswith(".bias") for name in trained)
    apply_partition(network, backbone.blocks, Partition(len(backbone.blocks)))


@pytest.mark.parametrize("batchnorm", ["inference", "train"])
def test_modes(batchnorm: str) -> None:
    backbone = load_builtin()
    network = Network(backbone.module, LinearHead(backbone.width, 2))
    apply_modes(network, backbone.blocks, Partition(1), batchnorm)
    for name, module in network.backbone.named_modules():
        below = any(name == m or name.startswith(f"{m}.") for m in backbone.blocks[0].members)
        above = any(name == m or name.startswith(f"{m}.") for b in backbone.blocks[1:] for m in b.members)
        is_batchnorm = isinstance(module, nn.BatchNorm2d)
        assert not (below and module.training)
        if above:
            assert module.training == (not is_batchnorm or batchnorm == "train")


def test_recipe_numbers(backbone: Backbone) -> None:
    partial = resolve_recipe(resolve_regimes("partial")[0], backbone, cut=2, rows=300, task=TASK)
    assert partial.cut == 2 and len(partial.rate_candidates) > 1
    chosen = partial.with_rate(1e-3)
    assert chosen.rate_candidates == () and chosen.stages[1].phase.rate == 1e-3
    assert [stage.phase.epochs for stage in chosen.with_epochs([0, 3]).stages] == [0, 3]
    few, many = (
        resolve_recipe(resolve_regimes("full")[0], backbone, cut=None, rows=rows, task=TASK).stages[1].phase
        for rows in (100, 100_000)
    )
    assert few.epochs > many.epochs and few.batch_size < many.batch_size
    gradual = resolve_recipe(resolve_regimes("gradual-unfreezing")[0], backbone, cut=1, rows=300, task=TASK)
    depth = len(backbone.blocks)
    assert [stage.frozen_blocks for stage in gradual.stages] == [depth, *range(depth - 1, 0, -1), 1]
    biases = resolve_recipe(
        resolve_regimes("gradual-unfreezing")[0], backbone, cut="*.bias", rows=300, task=TASK
    )
    assert {stage.pattern for stage in biases.stages[1:]} == {"*.bias"}
    fixed = resolve_recipe(resolve_regimes("preset-vision")[0], backbone, cut=None, rows=300, task=TASK)
    assert fixed.rate_candidates == () and fixed.stages[0].phase.rate == 1e-4


def test_regime_without_phases_is_refused() -> None:
    with pytest.raises(ValueError, match="phases"):
        Regime(name="x", phases=())


def test_a_misspelt_key_is_named_with_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("phases: [{train: head, sovler: exact}]\n")
    with pytest.raises(RegimeError, match=r"no regime has: phases\.0\.sovler") as caught:
        read_regime(file)
    assert "Did you mean solver?" in str(caught.value)
