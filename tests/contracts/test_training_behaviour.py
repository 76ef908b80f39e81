"""What a fit does when things go well, badly or wrongly."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from cutpoint.adapters.adapter import Adapter
from cutpoint.artifacts import load_model, save_model
from cutpoint.artifacts.model_folder import changed_tensors
from cutpoint.errors import TrainingError
from cutpoint.heads.exact import fit_exact
from cutpoint.model import Model
from cutpoint.objectives import SupervisedLoss
from cutpoint.regimes import Objective, Phase, Regime, resolve_regimes
from cutpoint.training.fit import Fit
from cutpoint.training.judge import Judged

Benches = Callable[..., Any]
PROBE_FIRST = Phase(train="head", solver="exact")


def run(fit: Fit) -> Fit:
    for _ in fit:
        pass
    return fit


def regime(*phases: Phase, **facts: Any) -> Regime:
    return Regime(name="test", phases=phases, **facts)


def test_batchnorm_statistics_move_only_where_asked(benches: Benches) -> None:
    bench = benches()

    def moved(mode: str) -> list[str]:
        fit = run(bench.fit(regime(Phase(train=2, batchnorm=mode)), data=bench.unjudged))
        layers = [
            (name, layer)
            for name, layer in fit.network.backbone.named_modules()
            if isinstance(layer, _BatchNorm)
        ]
        pretrained = bench.backbone.module.state_dict()
        return [n for n, b in layers if not torch.equal(b.running_mean, pretrained[f"{n}.running_mean"])]

    assert moved("inference") == []
    assert moved("train") == ["stage2.1", "stage3.1"]


def test_batchnorm_statistics_that_moved_beside_an_adapter_are_saved(benches: Benches, tmp_path: Any) -> None:
    bench = benches()
    lora = Adapter(kind="lora", rank=4)
    fit = run(bench.fit(regime(Phase(train="adapter", batchnorm="train"), adapter=lora), data=bench.unjudged))
    model = Model(bench.backbone, fit.network, bench.data.task, "test", fit.reached_cut, adapter=lora)
    stored = set(changed_tensors(model))
    assert any(name.endswith("running_mean") for name in stored)
    assert not any(name.endswith(".weight") for name in stored if name.startswith("backbone."))
    loaded = load_model(save_model(model, tmp_path / "model"), backbone=bench.backbone)
    images = bench.bank.dataset.inputs[:8]
    assert np.array_equal(loaded.predict_scores(images), model.predict_scores(images))


def test_kept_weights_have_the_lowest_validation_loss_and_ties_go_to_the_earlier(benches: Benches) -> None:
    bench = benches()
    fit = run(bench.fit(regime(Phase(train="all", schedule="constant")), epochs=6, rate=3e-2))
    losses = [record.validation_loss for record in fit.records]
    assert fit.state.best_epoch == int(np.argmin(losses))
    scores = fit.predict(fit.data.validation)
    truth = fit.data.targets[fit.data.validation]
    kept = -np.log(scores[np.arange(len(truth)), truth]).mean()
    assert kept == pytest.approx(min(losses), rel=1e-4)
    frozen = run(bench.fit(regime(Phase(train="all", schedule="constant")), epochs=3, rate=0.0))
    assert frozen.state.best_epoch == 0
    assert [record.best for record in frozen.records] == [True, False, False]


def test_best_metric_decides_where_asked(benches: Benches) -> None:
    bench = benches()
    fit = run(bench.fit(regime(Phase(train="all", schedule="constant"), keep="metric"), epochs=6, rate=3e-2))
    metrics = [record.validation_metric for record in fit.records]
    assert fit.state.best_epoch == int(np.argmax(metrics))


def test_early_stopping_counts_epochs_without_improvement(benches: Benches) -> None:
    bench = benches()
    fit = run(bench.fit(regime(Phase(train="all", patience=2, schedule="constant")), epochs=9, rate=0.0))
    assert len(fit.records) == 3  # the first is the best, then two without improvement
    unjudged = bench.fit(regime(Phase(train="all", patience=2)), epochs=9, rate=0.0, data=bench.unjudged)
    assert len(run(unjudged).records) == 9


def test_final_fit_stops_after_the_given_epochs(benches: Benches) -> None:
    bench = benches()
    lp_ft = regime(PROBE_FIRST, Phase(train="all"))
    short = run(bench.fit(lp_ft, epochs=6, data=bench.unjudged, stop_after=3))
    assert [record.epoch for record in short.records] == [0, 1, 2]
    judged = run(bench.fit(lp_ft, epochs=6))
    assert [r.train_loss for r in judged.records[:3]] == [r.train_loss for r in short.records]


def test_fine_tuning_starts_from_the_exact_head(benches: Benches) -> None:
    bench = benches()
    fit = bench.fit(regime(PROBE_FIRST, Phase(train="all", warmup=0.0)), rate=0.0)
    run(fit)
    solved = fit_exact(
        bench.bank.pooled().final[fit.data.train], fit.data.targets[fit.data.train], fit.data.task, seed=0
    )
    for name, value in solved.head.state_dict().items():
        assert torch.equal(fit.network.head.state_dict()[name], value)
    probe, first, _ = fit.records
    assert first.train_loss == pytest.approx(probe.train_loss, rel=1e-4)
    assert first.validation_loss == pytest.approx(probe.validation_loss, rel=1e-4)
    assert fit.state.strength == solved.strength


def test_unfreezing_stops_at_the_plateau_and_tells_its_cut(benches: Benches) -> None:
    fit = run(benches().fit(resolve_regimes("unfreeze-until-plateau")[0], epochs=3, rate=0.0))
    assert [record.frozen_blocks for record in fit.records] == [4, 3, 3, 3]
    assert fit.reached_cut == 4


def test_unfreezing_goes_on_while_it_improves(benches: Benches, monkeypatch: pytest.MonkeyPatch) -> None:
    phase = Phase(train="all", one_block_at_a_time=True, until_plateau=True)
    fit = benches().fit(regime(phase), epochs=2, rate=3e-3)
    planted = {3: 1.0, 2: 0.9, 1: 0.95}
    monkeypatch.setattr(fit._judge, "judge", lambda *_: Judged(planted[fit.state.frozen_blocks], 0.5))
    kept = {}
    for progress in fit:
        if progress.record and progress.record.best:
            kept = {name: value.clone() for name, value in fit.network.state_dict().items()}
    assert [record.frozen_blocks for record in fit.records] == [3, 3, 2, 2, 1, 1]
    assert fit.reached_cut == 2
    assert all(torch.equal(value, kept[name]) for name, value in fit.network.state_dict().items())


def test_refreezing_after_two_rises_in_a_row(benches: Benches, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = benches()
    unstable = regime(Phase(train="all", refreeze=True, schedule="constant"))
    fit = bench.fit(unstable, epochs=8, rate=1e-3)
    planted = iter([1.0, 1.1, 1.2, 1.3, 1.4, 1.0, 1.1, 1.0])
    monkeypatch.setattr(fit._judge, "judge", lambda source, positions: Judged(next(planted), 0.5))
    frozen_then = []
    for progress in fit:
        if progress.record:
            first = next(iter(fit.network.backbone.parameters()))
            frozen_then.append((progress.record.frozen_blocks, first.requires_grad))
    assert [frozen for frozen, _ in frozen_then] == [0, 0, 0, 1, 1, 2, 2, 2]
    assert [trains for _, trains in frozen_then] == [True, True] + [False] * 6


def test_refreezing_survives_a_resume(
    benches: Benches, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    bench = benches()
    unstable = regime(Phase(train="all", refreeze=True, schedule="constant", ema=0.9))

    def start() -> Fit:
        fit = bench.fit(unstable, epochs=6, rate=1e-3)
        judge = {0: 1.0, 1: 1.1, 2: 1.2, 3: 1.3, 4: 1.4, 5: 0.9}
        monkeypatch.setattr(
            fit._judge, "judge", lambda source, rows: Judged(judge[fit.state.epochs_done], 0.5)
        )
        return fit

    straight = run(start())
    killed = start()
    for progress in killed:
        if progress.step == 14:
            killed.save(tmp_path / "fit")
            break
    assert killed.state.frozen_blocks == 1
    resumed = start()
    assert resumed.load(tmp_path / "fit")
    run(resumed)
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])


def test_scratch_starts_from_other_weights_and_each_seed_from_its_own(benches: Benches) -> None:
    bench = benches()
    scratch = resolve_regimes("scratch")[0]
    first, same, other = (bench.fit(scratch, seed=seed).network.backbone for seed in (0, 0, 1))
    name = "stage0.0.weight"
    assert torch.equal(first.state_dict()[name], same.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], bench.backbone.module.state_dict()[name])


@pytest.mark.parametrize("phases", [(Phase(train="all"),), (PROBE_FIRST, Phase(train="all"))])
def test_divergence_is_caught_and_the_last_good_weights_kept(
    benches: Benches, phases: tuple[Phase, ...]
) -> None:
    bench = benches()
    fit = run(bench.fit(regime(*[p.model_copy(update={"warmup": 0.0}) for p in phases]), epochs=4, rate=1e30))
    assert fit.state.diverged and fit.state.finished
    assert all(bool(torch.isfinite(value).all()) for value in fit.network.state_dict().values())
    for record in fit.records:
        assert math.isfinite(record.train_loss)
        assert record.validation_loss is None or math.isfinite(record.validation_loss)
    pretrained = bench.backbone.module.state_dict()
    assert all(torch.equal(v, pretrained[n]) for n, v in fit.network.backbone.state_dict().items())
    assert np.isfinite(fit.predict(fit.data.validation)).all()


@pytest.mark.parametrize("task", ["multilabel", "regression"])
@pytest.mark.parametrize(
    "name", ["linear-probe", "mlp-head", "partial", "full", "scratch", "full-strong-augmentation"]
)
def test_other_tasks_train_too(benches: Benches, task: str, name: str) -> None:
    bench = benches("convolutional", task)
    fit = bench.fit(resolve_regimes(name)[0], epochs=8, rate=1e-2)
    data, loss = fit.data, SupervisedLoss(fit.data.task)
    targets = torch.from_numpy(data.targets[data.train])

    def now() -> float:
        scores = torch.from_numpy(fit.predict(data.train))
        return float(loss(torch.logit(scores, 1e-6) if task == "multilabel" else scores, targets))

    before = now()
    run(fit)
    assert now() < (0.9 if task == "multilabel" else 1.0) * before


def test_class_weights_and_smoothing_reach_the_loss(benches: Benches) -> None:
    bench = benches()
    plain = run(bench.fit(regime(Phase(train="all")), epochs=1))
    smooth = run(bench.fit(regime(Phase(train="all"), objective=Objective(label_smoothing=0.5)), epochs=1))
    assert smooth.records[0].train_loss != plain.records[0].train_loss
    pulled = run(bench.fit(regime(Phase(train="all"), objective=Objective(l2_sp=1e4)), epochs=4, rate=1e-3))
    free = run(bench.fit(regime(Phase(train="all")), epochs=4, rate=1e-3))

    def distance(fit: Fit) -> float:
        pretrained = bench.backbone.module.state_dict()
        own = fit.network.backbone.named_parameters()
        return sum(float((value.detach() - pretrained[name]).square().sum()) for name, value in own)

    assert distance(pulled) < 0.5 * distance(free)


def test_head_only_fits_share_the_backbone_and_store_the_head_alone(benches: Benches, tmp_path: Any) -> None:
    bench = benches()
    fit = run(bench.fit(resolve_regimes("mlp-head")[0]))
    assert fit.network.backbone is bench.backbone.module
    fit.save(tmp_path / "fit")
    assert (tmp_path / "fit").stat().st_size < 60_000


def test_damaged_checkpoint_is_no_checkpoint(benches: Benches, tmp_path: Any) -> None:
    fit = benches().fit(resolve_regimes("mlp-head")[0])
    assert not fit.load(tmp_path / "none")
    next(iter(fit))
    fit.save(tmp_path / "fit")
    content = (tmp_path / "fit").read_bytes()
    (tmp_path / "fit").write_bytes(content[: len(content) // 2])
    assert not benches().fit(resolve_regimes("mlp-head")[0]).load(tmp_path / "fit")


@pytest.mark.parametrize(
    ("kind", "name", "planted"),
    [
        ("convolutional", "partial", "stage1.1.running_mean"),
        ("encoder", "partial", "encoder.layer.0.output.dense.bias"),
        ("encoder", "lora", "encoder.layer.1.attention.self.query.base_layer.weight"),
        ("language", "qlora", "model.layers.1.self_attn.q_proj.base_layer.weight"),
    ],
)
def test_a_frozen_weight_that_changes_is_noticed(
    benches: Benches, kind: str, name: str, planted: str
) -> None:
    fit = benches(kind).fit(resolve_regimes(name)[0], epochs=1)
    steps = iter(fit)
    next(steps)
    tensor = fit.network.backbone.state_dict()[planted].view(-1)
    tensor[0] = tensor[0] + 1
    with pytest.raises(TrainingError, match="frozen weight or buffer changed"):
        list(steps)


def test_callers_random_state_is_left_alone(benches: Benches) -> None:
    before = torch.get_rng_state()
    run(benches().fit(resolve_regimes("full-strong-augmentation")[0], epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "name", ["linear-probe", "full", "preset-two-phase", "unfreeze-until-plateau", "mlp-head"]
)
def test_validation_rows_are_not_judged_twice(
    benches: Benches, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = run(benches().fit(resolve_regimes(name)[0], epochs=3))
    expected = fit.predict(fit.data.validation)
    assert np.array_equal(fit.predict_validation(), expected)
    fit.save(tmp_path / "fit.safetensors")
    again = benches().fit(resolve_regimes(name)[0], epochs=3)
    again.load(tmp_path / "fit.safetensors")
    assert np.array_equal(run(again).predict_validation(), expected)
    if name != "unfreeze-until-plateau":  # there an earlier stage may be the better one
        monkeypatch.setattr(fit._judge, "scores", None)
        assert np.array_equal(fit.predict_validation(), expected)
