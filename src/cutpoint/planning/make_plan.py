"""Makes the plan: everything that is timed, probed and decided before the first trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from cutpoint.data.summary import summarise
from cutpoint.engines.names import EngineChoice
from cutpoint.features.bank import FeatureBank
from cutpoint.features.cut import valid_cuts
from cutpoint.features.layer_probe import probe_layers
from cutpoint.planning.calibration import calibrate
from cutpoint.planning.judging import Judging
from cutpoint.planning.plan import (
    Entry,
    Plan,
    PlannedTrial,
    excluded_trials,
    in_order,
    over_limits,
    plan_trials,
    without_room,
)
from cutpoint.planning.settings import Settings
from cutpoint.planning.watcher import Watcher
from cutpoint.regimes.regime import Regime
from cutpoint.types import LayerProbe, Trial


def make_plan(
    entries: Sequence[Entry],
    banks: Mapping[str, FeatureBank],
    *,
    judging: Judging,
    settings: Settings,
    versions: dict[str, str],
    watcher: Watcher,
) -> Plan:
    """Time every backbone, and fix which trials run in which order; probe its layers, where that decides of anything.

    Args:
        entries: Backbones with their regimes.
        banks: Backbone name → its bank, over one data set.
        judging: On which rows trials are judged.
        settings: The race's.
        versions: Library versions, for the record.
        watcher: Hears of what takes its time.
    """
    dataset = banks[entries[0].backbone.name].dataset
    trials: list[PlannedTrial] = []
    curves, calibrations, dropped = {}, {}, {}
    excluded: list[Trial] = []
    regimes = {entry.backbone.name: tuple(entry.regimes) for entry in entries}
    named = [entry for entry in entries if entry.backbone.blocks]
    for entry in entries:
        backbone, bank = entry.backbone, banks[entry.backbone.name]
        curve = _curve(bank, settings.seed, watcher) if _needs_curve(regimes, backbone.name) else ()
        calibration = calibrate(
            bank,
            bank.targets,
            dataset.task,
            torch.device(settings.device),
            times_steps=not all(regime.is_head_only for regime in entry.regimes),
        )
        _tell_engine(calibration.engine, settings, watcher)
        prefix = f"{_short(backbone.name)}:" if len(named) > 1 and backbone.blocks else ""
        excluded += excluded_trials(backbone, entry.regimes, dataset.task, settings.seed, prefix)
        own = plan_trials(
            backbone,
            entry.regimes,
            calibration=calibration,
            curve=curve,
            judging=judging,
            task=dataset.task,
            settings=settings,
            prefix=prefix,
        )
        trials += own
        curves[backbone.name], calibrations[backbone.name] = curve, calibration
        is_cut = any(0 < trial.recipe.cut < len(backbone.blocks) for trial in own)
        dropped[backbone.name] = dict(valid_cuts(backbone).dropped) if is_cut else {}
        if dropped[backbone.name]:
            names = ", ".join(dropped[backbone.name])
            watcher.on_message(f"No exact cut of {backbone.name} after: {names}. They are left out.")
    excluded += over_limits(trials, entries, settings)
    allowed = [trial for trial in trials if trial.id not in {each.id for each in excluded}]
    excluded += without_room(allowed, calibrations, settings.seed)
    return Plan(
        settings=settings,
        regimes=regimes,
        task=dataset.task,
        data=summarise(dataset),
        judged_on=judging.sentence,
        backbones={entry.backbone.name: entry.backbone.reference for entry in entries},
        provenance={entry.backbone.name: entry.backbone.provenance for entry in entries},
        layer_probe={name: curve for name, curve in curves.items() if curve},
        dropped_cuts=dropped,
        calibration=calibrations,
        trials=in_order([trial for trial in trials if trial.id not in {each.id for each in excluded}]),
        excluded=tuple(excluded),
        versions=versions,
    )


def with_layer_probes(plan: Plan, banks: Mapping[str, FeatureBank], watcher: Watcher) -> Plan:
    """The plan with the every-layer probe of backbones that could be planned without.

    Args:
        plan: With the curves that something was decided by.
        banks: Backbone name → its bank.
        watcher: Hears of what takes its time.
    """
    missing = [name for name in banks if not _needs_curve(plan.regimes, name)]
    curves = {name: _curve(banks[name], plan.settings.seed, watcher) for name in missing}
    found = {name: curve for name, curve in curves.items() if curve}
    return plan.model_copy(update={"layer_probe": {**plan.layer_probe, **found}})


def _needs_curve(regimes: Mapping[str, Sequence[Regime]], name: str) -> bool:
    """Whether the plan chooses cuts by a backbone's curve, or the race between backbones."""
    return len(regimes) > 1 or any(regime.needs_cut for regime in regimes[name])


def _curve(bank: FeatureBank, seed: int, watcher: Watcher) -> tuple[LayerProbe, ...]:
    """The every-layer probe; none of what has no layers, or no features to put a head on."""
    backbone, task = bank.backbone, bank.dataset.task
    if not backbone.blocks or task.kind == "language":
        return ()
    pooled = bank.pooled()
    watcher.on_message(f"Probing every block of {backbone.name}.")
    groups = bank.dataset.groups_of(bank.rows)
    return probe_layers(backbone, pooled, bank.targets, task, groups=groups, seed=seed)


def _tell_engine(choice: EngineChoice | None, settings: Settings, watcher: Watcher) -> None:
    """Where engines were timed, or the one that was asked for is not used."""
    if choice is not None and (choice.measured or settings.engine not in ("auto", choice.engine)):
        watcher.on_message(f"Frozen features: {choice.reason}.")


def _short(name: str) -> str:
    return name.replace(":", "-").replace("/", "-")
