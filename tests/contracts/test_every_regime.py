"""What must hold for every regime of the table on every kind of backbone that takes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cutpoint.adapters.inject import is_adapter_parameter
from cutpoint.artifacts import load_model, save_model
from cutpoint.artifacts.merged import merge_model
from cutpoint.backbones.order import block_parameters
from cutpoint.backbones.tokens import MARKS
from cutpoint.model import Model
from cutpoint.regimes import Regime, named_regimes
from cutpoint.regimes.groups import parameter_groups
from cutpoint.regimes.injection import why_not_here
from cutpoint.regimes.partition import apply_partition
from cutpoint.training.fit import Fit

NOT_FOR = {
    "convolutional": {"unchanged", "qlora", "bottleneck", "prefix", "prompt"},
    "transformer": {"unchanged", "prefix", "prompt"},
    "encoder": {"unchanged"},
    "tagger": {"unchanged", "setfit"},
    "language": {"linear-probe", "mlp-head", "gradient-boosting", "preset-mlp-head", "setfit"},
}
"""Kind of backbone → the regimes that it does not take."""
OF_TAGGERS = {"linear-probe", "mlp-head", "lora", "prefix", "partial", "full", "scratch"}
"""Words pass through the same encoder as texts: some regimes of each kind suffice."""
IMAGES = ("convolutional", "transformer")
PAIRS = [
    (kind, regime)
    for kind, refused in NOT_FOR.items()
    for regime in named_regimes()
    if regime.name not in refused and (kind != "tagger" or regime.name in OF_TAGGERS)
]


def pairs(applies: Callable[[Regime], bool] = lambda _: True) -> pytest.MarkDecorator:
    """Every kind of backbone with each regime that it takes and that the contract is about."""
    chosen = [(kind, regime) for kind, regime in PAIRS if applies(regime)]
    names = [f"{kind}-{regime.name}" for kind, regime in chosen]
    return pytest.mark.parametrize(("kind", "regime"), chosen, ids=names)


def is_trained(regime: Regime) -> bool:
    return any(phase.solver != "none" for phase in regime.phases)


def is_pretrained(regime: Regime) -> bool:
    return regime.init == "pretrained"


def starts_as_the_identity(regime: Regime) -> bool:
    """Virtual tokens and a base in 4 bits change what the network puts out from the start."""
    adapter = regime.adapter
    return adapter is not None and adapter.base == "full" and adapter.kind not in ("prefix", "prompt")


def is_mergeable(regime: Regime) -> bool:
    return (
        starts_as_the_identity(regime) and regime.adapter is not None and regime.adapter.kind != "bottleneck"
    )


Benches = Callable[..., Any]
Straight = Callable[[Regime, str], Fit]


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


def training_loss(fit: Fit) -> float:
    """Mean loss of the training rows, of their words or tokens, as the network stands."""
    return fit._judge.mean_loss(fit._open_source(), fit.data.train)


def model_of(fit: Fit) -> Model:
    regime = fit.recipe.regime
    return Model(
        fit.data.bank.backbone,
        fit.network,
        fit.data.task,
        regime.name,
        fit.reached_cut,
        adapter=regime.adapter,
    )


@pytest.fixture(scope="module")
def straight(benches: Benches) -> Straight:
    """The finished fit of a regime, made once."""
    made: dict[tuple[str, str], Fit] = {}

    def fit(regime: Regime, kind: str) -> Fit:
        key = (regime.name, kind)
        if key not in made:
            made[key] = run(benches(kind).fit(regime))
        return made[key]

    return fit


@pytest.mark.parametrize("kind", list(NOT_FOR))
def test_what_a_backbone_does_not_take_is_refused_with_a_reason(kind: str, benches: Benches) -> None:
    bench = benches(kind)
    reasons = {
        regime.name: why_not_here(regime, bench.backbone, bench.data.task) for regime in named_regimes()
    }
    assert {name for name, reason in reasons.items() if reason} == NOT_FOR[kind]


@pairs(is_trained)
def test_loss_falls(regime: Regime, kind: str, benches: Benches) -> None:
    bench = benches(kind)
    starts_solved = regime.phases[0].solver == "exact"  # near the optimum of the head: small steps from there
    fit = bench.fit(regime, epochs=8, rate=1e-3 if starts_solved else 3e-3)
    before = training_loss(fit)
    run(fit)
    assert training_loss(fit) < before
    assert fit.state.best_epoch >= 0 and np.isfinite(fit.state.best)


@pairs(is_pretrained)
def test_frozen_parameters_and_buffers_stay_bit_identical(
    regime: Regime, kind: str, benches: Benches
) -> None:
    bench = benches(kind)
    pretrained = {name: value.clone() for name, value in bench.backbone.module.state_dict().items()}
    fit = bench.fit(regime, data=bench.unjudged)
    before = {name: value.clone() for name, value in fit.network.backbone.state_dict().items()}
    if regime.adapter is None or regime.adapter.base == "full":
        own = {name: value for name, value in before.items() if not is_adapter_parameter(name)}
        assert_same({name.replace(".base_layer", ""): value for name, value in own.items()}, pretrained)
    run(fit)
    now = fit.network.backbone.state_dict()
    assert now.keys() == before.keys()
    moved = {name for name in now if not torch.equal(now[name], before[name])}
    module, lowest = fit.network.backbone, min((s.frozen_blocks for s in fit.recipe.stages), default=99)
    parameters = {name for name, _ in module.named_parameters()}
    if regime.adapter is not None:
        assert moved == {name for name in parameters if is_adapter_parameter(name)}
    else:
        blocks = bench.backbone.blocks
        above = {name for block in blocks[lowest:] for name in block_parameters(module, block)}
        below = {name for block in blocks[:lowest] for name in block_parameters(module, block)}
        trains_batchnorm = any(stage.phase.batchnorm != "inference" for stage in fit.recipe.stages)
        assert not below & moved
        assert trains_batchnorm or moved <= parameters
        assert regime.is_head_only or moved & parameters >= above
    assert_same(dict(bench.backbone.module.state_dict()), pretrained)


@pairs(is_trained)
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


@pairs(is_trained)
def test_killed_and_resumed_is_the_straight_run(
    regime: Regime, kind: str, benches: Benches, straight: Straight, tmp_path: Path
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


@pairs()
def test_cached_is_uncached(regime: Regime, kind: str, benches: Benches, straight: Straight) -> None:
    """Images bit for bit. Texts are cached in batches of another length than they are trained in, and products of
    other sizes differ in the last bit."""
    expected = straight(regime, kind)
    uncached = run(benches(kind, limit=0).fit(regime))
    assert not list(uncached.data.bank.cache.folder.glob("*.npy"))
    if kind in IMAGES:
        assert_same(weights(uncached), weights(expected))
        return
    everything = np.arange(len(uncached.data.bank.rows))
    np.testing.assert_allclose(
        uncached.predict(everything), expected.predict(everything), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("regime", named_regimes(), ids=lambda regime: regime.name)
def test_same_seed_same_result_and_another_seed_another(
    regime: Regime, benches: Benches, straight: Straight
) -> None:
    kind = next(kind for kind, other in PAIRS if other is regime)
    bench, expected = benches(kind), straight(regime, kind)
    assert_same(weights(run(bench.fit(regime))), weights(expected))
    if not regime.is_exact:
        other = weights(run(bench.fit(regime, data=bench.unjudged, seed=1)))
        same = weights(run(bench.fit(regime, data=bench.unjudged)))
        assert any(not torch.equal(other[name], same[name]) for name in same)


@pairs()
def test_saved_and_loaded_model_predicts_the_same(
    regime: Regime, kind: str, straight: Straight, tmp_path: Path
) -> None:
    """Backbones of texts lie in a folder, and are found there again."""
    model = model_of(straight(regime, kind))
    inputs = model_inputs(straight(regime, kind))
    save_model(model, tmp_path / "model")
    given = model.backbone if kind in IMAGES else None
    loaded = load_model(tmp_path / "model", backbone=given)
    assert np.array_equal(loaded.predict_scores(inputs), model.predict_scores(inputs))


def model_inputs(fit: Fit) -> list[Any]:
    return [fit.data.bank.dataset.inputs[row] for row in range(8)]


# ---------------------------------------------------------------------------------------------------- adapters


@pairs(starts_as_the_identity)
def test_adapters_start_as_the_identity(regime: Regime, kind: str, benches: Benches) -> None:
    bench = benches(kind)
    fit = bench.fit(regime)
    assert fit.network.backbone is not bench.backbone.module
    noise = bench.backbone.inputs.noise(4)
    with torch.no_grad():
        expected = bench.backbone.module.eval()(noise)
        torch.testing.assert_close(fit.network.backbone.eval()(noise), expected, rtol=1e-6, atol=1e-6)


@pairs(is_mergeable)
def test_merged_is_unmerged(regime: Regime, kind: str, straight: Straight, tmp_path: Path) -> None:
    fit = straight(regime, kind)
    model, inputs = model_of(fit), model_inputs(fit)
    merged = merge_model(model)
    expected = model.predict_scores(inputs)
    np.testing.assert_allclose(merged.predict_scores(inputs), expected, rtol=1e-5, atol=1e-5)
    assert merged.adapter is None
    save_model(merged, tmp_path / "model")
    loaded = load_model(tmp_path / "model", backbone=model.backbone)
    np.testing.assert_allclose(loaded.predict_scores(inputs), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "regime"),
    [
        (kind, regime)
        for kind, regime in PAIRS
        if kind not in IMAGES
        and regime.adapter is not None
        and regime.adapter.kind != "bottleneck"
        and regime.adapter.base == "full"
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_peft_loads_the_adapter_on_the_bare_network(
    regime: Regime, kind: str, straight: Straight, tmp_path: Path
) -> None:
    """As someone without this package would: the network from transformers, the adapter from the model folder."""
    from peft import PeftModel
    from transformers import AutoModel, AutoModelForCausalLM

    fit = straight(regime, kind)
    model, text = model_of(fit), fit.data.bank.dataset.inputs[0]
    save_model(model, tmp_path / "model")
    bare = AutoModelForCausalLM if kind == "language" else AutoModel
    place = model.backbone.reference.path
    network = PeftModel.from_pretrained(bare.from_pretrained(place), tmp_path / "model" / "adapter").eval()
    prepared = torch.from_numpy(model.backbone.inputs.prepare(text)).long()
    with torch.no_grad():
        output = network(input_ids=prepared[None, 0], attention_mask=torch.ones_like(prepared[None, 0]))
        own = model.network.backbone(model.backbone.inputs.collate([prepared.numpy()]))
    states = output.logits if kind == "language" else output.last_hidden_state
    states = states[:, -prepared.shape[1] :]  # prompt tuning puts out states of its virtual tokens, too
    expected = {"language": states, "encoder": states.mean(1), "tagger": states[:, prepared[MARKS] >= 0]}[
        kind
    ]
    torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-5)
