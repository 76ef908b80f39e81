"""From a plan to advice: what the race knows before its first trial, told to the field's rules."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from statistics import median

import numpy as np
import torch

from cutpoint.advice.advise import advise
from cutpoint.advice.limits import excluded_by
from cutpoint.advice.situation import Situation
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.planning.judging import plan_judging
from cutpoint.planning.make_plan import make_plan, with_layer_probes
from cutpoint.planning.plan import Entry, Plan
from cutpoint.planning.settings import Settings
from cutpoint.planning.watcher import Watcher
from cutpoint.survey.axes import measure_axes, sampled_rows, under_a_head
from cutpoint.survey.labels_curve import labels_curve
from cutpoint.types import (
    Advice,
    Audit,
    Axes,
    Chat,
    Completion,
    Dataset,
    Finding,
    LabelsCurve,
    LayerProbe,
    Trial,
)

_RUNS = 5


def advise_before(
    dataset: Dataset,
    entries: Sequence[Entry],
    settings: Settings,
    *,
    cache: ActivationCache,
    versions: dict[str, str],
    watcher: Watcher,
    audit: Audit | None = None,
) -> Advice:
    """Advice without a race: a few hundred rows are looked at, and nothing but heads is trained.

    Args:
        dataset: Labelled data with splits.
        entries: Backbones with the regimes to price.
        settings: As a race would have them.
        cache: Of features.
        versions: Library versions, for the plan.
        watcher: Hears of what takes its time.
        audit: Of the data, where it was made.
    """
    rows = sampled_rows(dataset, settings.seed)
    banks = {
        entry.backbone.name: FeatureBank(
            entry.backbone, dataset, rows, cache, on_progress=watcher.on_work, engine=settings.engine
        )
        for entry in entries
    }
    plan = make_plan(
        entries,
        banks,
        judging=plan_judging(dataset, settings),
        settings=settings,
        versions=versions,
        watcher=watcher,
    )
    return advise_on_plan(with_layer_probes(plan, banks, watcher), banks, audit=audit)


def advise_on_plan(
    plan: Plan,
    banks: Mapping[str, FeatureBank],
    *,
    audit: Audit | None = None,
) -> Advice:
    """Advice on a plan that is made; of several backbones, on the one whose frozen features say most.

    Args:
        plan: With the predicted cost of every trial.
        banks: Backbone name → its bank.
        audit: Of the data, where it was made.
    """
    measured = {name: _axes(plan, bank) for name, bank in banks.items() if _is_candidate(bank, banks)}
    best = max(measured, key=lambda name: measured[name].probe or 0.0)
    axes, dataset = measured[best], banks[best].dataset
    regimes = {regime.name: regime for regime in plan.regimes[best]}
    situation = Situation(
        axes=axes,
        reference=plan.backbones[best],
        provenance=plan.provenance[best],
        metric=plan.task.metric,
        limits=plan.settings.limits,
        priced=tuple(
            trial.model_copy(update={"predicted": axes.predicted.get(trial.id, trial.predicted)})
            for trial in _priced(plan)
        ),
        refused=tuple(trial for trial in plan.excluded if not _breaks_a_limit(plan, trial)),
        fine_tunes=frozenset(
            name for name, each in regimes.items() if each.init == "pretrained" and not each.is_head_only
        ),
        from_random=frozenset(name for name, each in regimes.items() if each.init == "random"),
        has_answers=_has_answers(dataset),
        is_own_preprocessing=plan.settings.image_size is None,
        is_test_given=dataset.test_origin == "given",
        audit=audit,
        labels=_labels(plan, best, banks),
    )
    advice = advise(situation)
    compared = _compared(measured, plan.layer_probe)
    return advice.model_copy(update={"findings": (*advice.findings, *compared)})


def _labels(plan: Plan, best: str, banks: Mapping[str, FeatureBank]) -> LabelsCurve | None:
    """What labels buy with transfer, where there is any and the bank holds all training rows; against hand-made
    features, where they are at hand."""
    bank = banks[best]
    train = np.sort(bank.dataset.splits["train"])
    has_transfer = bool(bank.backbone.blocks) and plan.task.kind != "language"
    if not has_transfer or not np.isin(train, bank.rows).all():
        return None
    features, targets, groups = under_a_head(bank, train)
    rival = next((each for each in banks.values() if not each.backbone.blocks), None)
    without = None if rival is None else under_a_head(rival, train)[0]
    return labels_curve(features, without, targets, plan.task, groups=groups, seed=plan.settings.seed)


def _has_answers(dataset: Dataset) -> bool:
    """Whether examples say what is to be predicted. Training texts may be packed into rows by now; held out ones never
    are."""
    asks = (isinstance(each, (Chat, Completion)) for each in dataset.inputs)
    return dataset.task.kind != "language" or any(asks)


def _is_candidate(bank: FeatureBank, banks: Mapping[str, FeatureBank]) -> bool:
    """Whether the advice may be about it: hand-made features are a trial beside the others."""
    return bool(bank.backbone.blocks) or not any(other.backbone.blocks for other in banks.values())


def _axes(plan: Plan, bank: FeatureBank) -> Axes:
    name = bank.backbone.name
    return measure_axes(
        bank,
        curve=plan.layer_probe.get(name, ()),
        predicted={
            trial.id: trial.predicted for trial in _priced(plan, _latency_ms(bank)) if trial.backbone == name
        },
        budget_seconds=plan.settings.budget_seconds,
        circumstances=plan.settings.circumstances,
        seed=plan.settings.seed,
    )


def _priced(plan: Plan, latency_ms: float | None = None) -> tuple[Trial, ...]:
    """Trials that can run or that a limit alone rules out, in the plan's order and those behind.

    Args:
        plan: With costs predicted.
        latency_ms: Of the backbone, where a prediction says nothing of it.
    """
    planned = [
        Trial(
            id=each.id,
            regime=each.recipe.regime.name,
            backbone=each.backbone,
            cut=each.recipe.cut,
            seed=plan.settings.seed,
            status="priced",
            predicted=each.predicted,
        )
        for each in plan.trials
    ]
    trials = [*planned, *(trial for trial in plan.excluded if _breaks_a_limit(plan, trial))]
    return tuple(_with_latency(trial, latency_ms) for trial in trials)


def _with_latency(trial: Trial, latency_ms: float | None) -> Trial:
    known = trial.predicted.latency_ms or latency_ms
    return trial.model_copy(update={"predicted": trial.predicted.model_copy(update={"latency_ms": known})})


def _breaks_a_limit(plan: Plan, trial: Trial) -> bool:
    """Whether an excluded trial was priced and keeps not within the limits; others cannot run at all."""
    regime = next(each for each in plan.regimes[trial.backbone] if each.name == trial.regime)
    reason = excluded_by(
        plan.settings.limits,
        trial.predicted,
        plan.backbones[trial.backbone],
        plan.provenance[trial.backbone],
        is_pretrained=regime.init != "random",
    )
    return bool(reason) and trial.predicted.seconds is not None


def _latency_ms(bank: FeatureBank) -> float:
    """Median milliseconds from one raw input to the backbone's features; a linear head adds next to nothing."""
    raw = bank.dataset.inputs[int(bank.rows[0])]
    times = []
    with torch.inference_mode():
        for _ in range(_RUNS + 1):
            started = time.perf_counter()
            bank.backbone.module.eval()(bank.to_network(bank.inputs.collate([bank.inputs.prepare(raw)])))
            times.append(time.perf_counter() - started)
    return 1000 * median(times[1:])


def _compared(measured: Mapping[str, Axes], curves: Mapping[str, Collection[LayerProbe]]) -> list[Finding]:
    """Where several backbones are at hand: what each scores that was measured on its features."""
    if len(measured) < 2:
        return []
    lines = []
    for name, axes in measured.items():
        top = max(curves.get(name, ()), key=lambda layer: layer.index, default=None)
        figures = {
            "probe": axes.probe,
            "LogME": top.logme if top else None,
            "H-score": top.h_score if top else None,
        }
        told = ", ".join(f"{what} {value:.3g}" for what, value in figures.items() if value is not None)
        lines.append(f"{name}: {told or 'nothing measured'}")
    return [
        Finding(
            code="backbones-compared",
            severity="info",
            text="Of several backbones the advice is about the one whose frozen features say most; the race may rank "
            "them otherwise, since no such score is good enough to skip it.",
            evidence="; ".join(lines),
        )
    ]
