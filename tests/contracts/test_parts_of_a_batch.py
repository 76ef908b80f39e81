"""A batch that passes in parts is the batch: by choice, and where the memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cutpoint.errors import RegimeError
from cutpoint.model import Model
from cutpoint.objectives import ContrastiveLoss, SupervisedLoss
from cutpoint.regimes import Objective, Phase, Regime
from cutpoint.training.fit import Fit

Benches = Callable[..., Any]
WEIGHTED = Objective(class_weights="balanced")
TASKS = pytest.mark.parametrize(
    ("kind", "task", "objective"),
    [
        ("encoder", "multiclass", WEIGHTED),
        ("encoder", "tagging", WEIGHTED),
        ("language", "language", Objective()),
        ("convolutional", "multilabel", Objective()),
        ("transformer", "regression", Objective(l2_sp=0.1)),
    ],
)


def phase_of(**facts: Any) -> Phase:
    return Phase(train="all", optimizer="sgd", rate=0.02, batch_size=16, **facts)


def plain(objective: Objective = WEIGHTED, **facts: Any) -> Regime:
    """One phase of stochastic gradient descent, which follows the gradient and nothing else."""
    return Regime(name="plain", phases=(phase_of(**facts),), objective=objective)


def without_dropout(fit: Fit) -> Fit:
    for module in fit.network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return fit


def fit_of(bench: Any, regime: Regime) -> Fit:
    return without_dropout(bench.fit(regime, data=bench.unjudged))


def run(fit: Fit) -> Fit:
    for _ in fit:
        pass
    return fit


def assert_close(one: Fit, other: Fit) -> None:
    """To the rounding that some steps gather."""
    expected = other.network.state_dict()
    for name, value in one.network.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=3e-6, msg=name)


@TASKS
def test_parts_have_the_gradient_of_the_whole(
    benches: Benches, kind: str, task: str, objective: Objective
) -> None:
    """Also where parts hold unequal numbers of tokens and the classes unequal weights."""
    bench = benches(kind, task)
    whole, parts = (fit_of(bench, plain(objective, micro_batch=size)) for size in (None, 5))
    losses = []
    for fit in (whole, parts):
        next(iter(fit))
        losses.append(fit.state.loss_sum)
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    expected = dict(whole.network.named_parameters())
    for name, parameter in parts.network.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-5, atol=1e-6, msg=name)
    assert_close(run(parts), run(whole))


def plant_a_small_memory(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Gradients of more than so many examples find no room; returns the sizes that were tried."""
    tried: list[int] = []
    total = SupervisedLoss.total

    def short(self: SupervisedLoss, logits: Tensor, targets: Tensor) -> Tensor:
        if torch.is_grad_enabled() and logits.requires_grad:
            tried.append(len(logits))
            if len(logits) > most:
                raise torch.OutOfMemoryError("CUDA out of memory. (planted)")
        return total(self, logits, targets)

    monkeypatch.setattr(SupervisedLoss, "total", short)
    return tried


@TASKS
def test_too_little_memory_halves_the_parts_and_changes_nothing(
    benches: Benches, monkeypatch: pytest.MonkeyPatch, kind: str, task: str, objective: Objective
) -> None:
    bench = benches(kind, task)
    expected = run(fit_of(bench, plain(objective)))
    tried = plant_a_small_memory(monkeypatch, most=5)
    fit = fit_of(bench, plain(objective))
    for _ in fit:
        assert fit.state.micro_batch == 4
    assert tried[:4] == [16, 8, 4, 4] and max(tried[2:]) == 4
    assert fit.state.steps_done == expected.state.steps_done
    assert [r.train_loss for r in fit.records] == pytest.approx([r.train_loss for r in expected.records])
    assert_close(fit, expected)


def test_smaller_parts_are_remembered_by_a_resumed_fit_and_forgotten_by_the_next_stage(
    benches: Benches, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench = benches("encoder")
    two = Regime(name="two", phases=(*plain().phases, *plain(micro_batch=2).phases), objective=WEIGHTED)
    tried = plant_a_small_memory(monkeypatch, most=9)
    straight, killed = fit_of(bench, two), fit_of(bench, two)
    run(straight)
    for progress in killed:
        if progress.step == 2:
            killed.save(tmp_path / "fit")
            break
    resumed = fit_of(bench, two)
    assert resumed.load(tmp_path / "fit") and resumed.state.micro_batch == 8
    tried.clear()
    run(resumed)
    assert max(tried) == 8 and tried[-1] == 2
    expected = straight.network.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.network.state_dict().items())


def test_what_cannot_be_split_fails_with_the_error_itself(
    benches: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics and pairs of a part are not those of the batch; and one example is the least."""
    plant_a_small_memory(monkeypatch, most=0)
    with pytest.raises(torch.OutOfMemoryError):
        run(fit_of(benches("encoder"), plain()))
    with pytest.raises(torch.OutOfMemoryError):
        run(fit_of(benches("convolutional"), plain(batchnorm="train")))

    def no_room(self: ContrastiveLoss, features: Tensor, targets: Tensor) -> Tensor:
        raise torch.OutOfMemoryError(f"CUDA out of memory for {len(features)}. (planted)")

    monkeypatch.setattr(ContrastiveLoss, "forward", no_room)
    head = Phase(train="head", solver="exact")
    contrast = Regime(name="contrast", phases=(phase_of(loss="contrastive"), head))
    with pytest.raises(torch.OutOfMemoryError, match="for 16"):
        run(fit_of(benches("encoder"), contrast))


def test_other_errors_are_not_taken_for_too_little_memory(
    benches: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Tensor:
        raise RuntimeError("the sizes of tensors must match")

    monkeypatch.setattr(SupervisedLoss, "total", broken)
    with pytest.raises(RuntimeError, match="must match"):
        run(fit_of(benches("encoder"), plain()))


@pytest.mark.parametrize("kind", ["encoder", "language"])
@pytest.mark.parametrize("train", ["all", "cut"])
def test_activations_computed_again_give_the_same_fit(benches: Benches, kind: str, train: str) -> None:
    bench = benches(kind)
    phase = plain().phases[0].model_copy(update={"train": train})
    kept = Regime(name="kept", phases=(phase,))
    expected = run(fit_of(bench, kept))
    fit = fit_of(bench, kept.model_copy(update={"checkpointing": True}))
    forwards = []
    layer = next(
        module
        for path, module in fit.network.backbone.named_modules()
        if path.endswith("layer.1") or path.endswith("layers.1")
    )
    attention = next(iter(layer.children()))
    attention.register_forward_pre_hook(lambda *_: forwards.append(torch.is_grad_enabled()))
    run(fit)
    assert len(forwards) >= 2 * fit.state.steps_done  # there, and again on the way back
    assert_close(fit, expected)
    assert not bench.backbone.module.training


def test_activations_cannot_be_computed_again_where_the_network_has_no_switch(benches: Benches) -> None:
    regime = plain().model_copy(update={"checkpointing": True})
    with pytest.raises(RegimeError, match="cannot compute its activations again"):
        benches("transformer").fit(regime)


def test_loss_of_a_language_model_is_that_of_transformers(benches: Benches) -> None:
    """Tokens of all rows count alike; the first of each is never predicted."""
    from transformers import AutoModelForCausalLM

    bench = benches("language")
    unchanged = Regime(name="unchanged", phases=(Phase(train="head", solver="none"),))
    fit = run(bench.fit(unchanged))
    rows = fit.data.validation
    summed, counted, right = fit.predict(rows).sum(0)
    network = AutoModelForCausalLM.from_pretrained(bench.backbone.reference.path).eval()
    losses, tokens = 0.0, 0
    for row in rows:
        ids = torch.from_numpy(bench.backbone.inputs.prepare(bench.bank.dataset.inputs[row])[:1]).long()
        with torch.no_grad():
            losses += float(network(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    assert counted == tokens and 0 <= right <= tokens
    assert np.exp(summed / counted) == pytest.approx(np.exp(losses / tokens), rel=1e-5)


@pytest.mark.parametrize("kind", ["encoder", "tagger", "language", "convolutional"])
def test_too_little_memory_for_judging_and_predicting_halves_the_batch(
    benches: Benches, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bench = benches(kind)
    fit = fit_of(bench, plain(Objective()))
    next(iter(fit))  # from here on nothing is read from the cache
    model = Model(bench.backbone, fit.network, bench.data.task, "plain", 0)
    inputs, rows = bench.bank.dataset.inputs[:40], np.arange(40)
    judged, predicted = fit.predict(rows), model.predict_scores(inputs)
    passed: list[int] = []

    def small(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if len(given[0]) > 10:
            raise torch.OutOfMemoryError("CUDA out of memory. (planted)")
        passed.append(len(given[0]))

    fit.network.backbone.register_forward_pre_hook(small)
    np.testing.assert_allclose(fit.predict(rows), judged, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict_scores(inputs), predicted, rtol=1e-4, atol=1e-5)
    assert max(passed) <= 10 and sum(passed) == 80
