"""Where an adapter would sit, found out without touching the backbone."""

from __future__ import annotations

import pytest
import torch

import tiny_texts
from cutpoint.adapters.adapter import Adapter
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.builtin import load_builtin
from cutpoint.backbones.load import load_backbone
from cutpoint.regimes import Phase, Regime, resolve_regimes
from cutpoint.regimes.injection import first_injected_block, injected_sizes, why_not_here
from cutpoint.regimes.partition import Partition
from cutpoint.regimes.recipe import partition_of, resolve_recipe
from cutpoint.types import Task

TEXTS = Task(kind="multiclass", labels=("a", "b", "c"))
LANGUAGE = Task(kind="language", metric="perplexity")
LORA = Adapter(kind="lora", rank=4)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_backbone(tiny_texts.save_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = tiny_texts.save_language_model(tmp_path_factory.mktemp("network"))
    return load_backbone(folder, readout="language")


def test_sizes_are_counted_and_the_backbone_is_left_alone(encoder: Backbone) -> None:
    before = {name: value.clone() for name, value in encoder.module.state_dict().items()}
    state = torch.get_rng_state()
    sizes = injected_sizes(encoder, LORA, above=0)
    # four layers of 32 × 32 in the attention of each of two layers, each with two matrices of rank 4
    assert sum(sizes.values()) == 2 * 4 * (32 * 4 + 4 * 32)
    assert sum(injected_sizes(encoder, LORA, above=2).values()) == 4 * (32 * 4 + 4 * 32)
    assert torch.equal(torch.get_rng_state(), state)
    now = encoder.module.state_dict()
    assert now.keys() == before.keys() and all(torch.equal(now[name], before[name]) for name in before)


def test_the_cut_falls_below_the_first_injected_block(encoder: Backbone) -> None:
    assert first_injected_block(encoder, LORA, above=0) == 1  # embeddings stay as they are
    assert first_injected_block(encoder, LORA, above=2) == 2
    assert first_injected_block(encoder, Adapter(kind="prompt", rank=4), above=2) == 0
    regime = resolve_regimes("lora")[0]
    assert partition_of(regime, regime.phases[1], encoder, None) == Partition(1, adapter=True)
    assert partition_of(regime, regime.phases[1], encoder, 2) == Partition(2, adapter=True)


@pytest.mark.parametrize(
    ("name", "task", "part"),
    [
        ("linear-probe", LANGUAGE, "brings its own head"),
        ("mlp-head", LANGUAGE, "brings its own head"),
        ("setfit", LANGUAGE, "one class an example"),
        ("unchanged", TEXTS, "a fresh head says nothing"),
        ("setfit", Task(kind="multilabel", labels=("a", "b")), "one class an example"),
        ("lora", TEXTS, ""),
        ("full", LANGUAGE, ""),
        ("unchanged", LANGUAGE, ""),
    ],
)
def test_why_a_regime_cannot_run(
    encoder: Backbone, network: Backbone, name: str, task: Task, part: str
) -> None:
    backbone = network if task is LANGUAGE else encoder
    reason = why_not_here(resolve_regimes(name)[0], backbone, task)
    assert (part in reason) if part else reason == ""


def test_why_an_adapter_cannot_run() -> None:
    picture = load_builtin()
    for name, part in (
        ("prefix", "reads no text"),
        ("qlora", "linear layers"),
        ("bottleneck", "convolutional"),
    ):
        assert part in why_not_here(resolve_regimes(name)[0], picture, TEXTS)


def test_heads_are_not_trained_for_language_models_and_their_likelihood_is_plain(network: Backbone) -> None:
    def stages(name: str) -> list[str]:
        recipe = resolve_recipe(resolve_regimes(name)[0], network, cut=1, rows=40, task=LANGUAGE)
        assert recipe.regime.objective.label_smoothing == 0.0
        return [stage.phase.solver for stage in recipe.stages]

    assert stages("full") == stages("lora") == ["gradient"]
    assert stages("preset-two-phase") == ["gradient"]
    assert stages("unchanged") == ["none"]
    head = Regime(name="head", phases=(Phase(train="head", rate=1e-3, epochs=1),))
    assert "brings its own head" in why_not_here(head, network, LANGUAGE)
