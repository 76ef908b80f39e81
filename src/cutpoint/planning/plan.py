"""The plan: which trials, in which order, at which predicted cost. Written before the first trial and never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cutpoint.advice.limits import excluded_by
from cutpoint.backbones.backbone import Backbone, Block
from cutpoint.evaluation.metrics import METRICS
from cutpoint.features.cut import valid_cuts
from cutpoint.features.layer_probe import proposed_cuts
from cutpoint.planning.adapter_memory import share_with_adapter
from cutpoint.planning.calibration import Calibration
from cutpoint.planning.judging import Judging
from cutpoint.planning.memory import refusal
from cutpoint.planning.prediction import RATE_SHARE, fit_seconds, passing, predict_cost
from cutpoint.planning.settings import Settings
from cutpoint.regimes.injection import injected_sizes, why_not_here
from cutpoint.regimes.recipe import Recipe, resolve_recipe
from cutpoint.regimes.regime import Regime
from cutpoint.types import (
    Advice,
    Audit,
    BackboneReference,
    Cost,
    DataSummary,
    LayerProbe,
    Provenance,
    Record,
    Task,
    Trial,
)

_ACTIVATIONS_SHARE = 0.5
"""Of the free memory, for what passes through the network at once."""


@dataclass(frozen=True)
class Entry:
    """A backbone and the regimes that race on it."""

    backbone: Backbone
    regimes: Sequence[Regime]


class PlannedTrial(Record):
    """A trial before it runs."""

    id: str
    backbone: str
    recipe: Recipe
    repeats: int
    predicted: Cost
    short_seconds: float = 0.0
    """Predicted for one short run."""


class Plan(Record):
    """Everything that is fixed before the first trial."""

    settings: Settings
    regimes: dict[str, tuple[Regime, ...]]
    """Backbone name → what races on it."""
    task: Task
    data: DataSummary
    judged_on: str
    backbones: dict[str, BackboneReference]
    provenance: dict[str, Provenance]
    layer_probe: dict[str, tuple[LayerProbe, ...]]
    dropped_cuts: dict[str, dict[str, str]]
    calibration: dict[str, Calibration]
    trials: tuple[PlannedTrial, ...]
    excluded: tuple[Trial, ...] = ()
    """What cannot run at all."""
    audit: Audit | None = None
    advice: Advice | None = None
    versions: dict[str, str]


def plan_trials(
    backbone: Backbone,
    regimes: Sequence[Regime],
    *,
    calibration: Calibration,
    curve: Sequence[LayerProbe],
    judging: Judging,
    task: Task,
    settings: Settings,
    prefix: str,
) -> list[PlannedTrial]:
    """Every trial of one backbone: a regime that needs a cut runs at the user's, or at each proposed one.

    Args:
        backbone: What is adapted.
        regimes: What to race on it.
        calibration: Its timing on this machine.
        curve: Its every-layer probe.
        judging: Tells how many fits of how many rows a trial takes.
        task: What is predicted.
        settings: The race's.
        prefix: In front of the trials' ids, where several backbones race.
    """
    planned = []
    for regime in regimes:
        if why_not_here(regime, backbone, task):
            continue
        for cut in _cuts(regime, backbone, curve, settings, task):
            planned.append(_plan_trial(backbone, regime, cut, calibration, judging, task, prefix))
    return planned


def excluded_trials(
    backbone: Backbone, regimes: Sequence[Regime], task: Task, seed: int, prefix: str
) -> list[Trial]:
    """The regimes that cannot run on this backbone for this task, each with the reason."""
    reasons = {regime.name: why_not_here(regime, backbone, task) for regime in regimes}
    return [
        Trial(
            id=f"{prefix}{name}",
            regime=name,
            backbone=backbone.name,
            seed=seed,
            status="skipped",
            reason=reason,
        )
        for name, reason in reasons.items()
        if reason
    ]


def without_room(
    trials: Sequence[PlannedTrial], calibrations: Mapping[str, Calibration], seed: int
) -> list[Trial]:
    """The trials that the memory does not hold, each with what it needs and what would fit."""
    needs = {trial.id: trial.predicted.peak_memory_bytes or 0 for trial in trials}
    refused = []
    for trial in trials:
        others = {name: size for name, size in needs.items() if name != trial.id}
        reason = refusal(trial.id, needs[trial.id], calibrations[trial.backbone].available_bytes, others)
        if reason:
            refused.append(
                _unable(trial.id, trial.recipe.regime.name, trial.backbone, seed, reason, trial.predicted)
            )
    return refused


def over_limits(trials: Sequence[PlannedTrial], entries: Sequence[Entry], settings: Settings) -> list[Trial]:
    """The trials whose model may not be shipped, each with the limit that it breaks: limits outrank accuracy."""
    backbones = {entry.backbone.name: entry.backbone for entry in entries}
    refused = []
    for trial in trials:
        backbone, regime = backbones[trial.backbone], trial.recipe.regime
        reason = excluded_by(
            settings.limits,
            trial.predicted,
            backbone.reference,
            backbone.provenance,
            is_pretrained=regime.init != "random",
        )
        if reason:
            refused.append(
                _unable(trial.id, regime.name, trial.backbone, settings.seed, reason, trial.predicted)
            )
    return refused


def _unable(
    trial_id: str, regime: str, backbone: str, seed: int, reason: str, predicted: Cost | None = None
) -> Trial:
    return Trial(
        id=trial_id,
        regime=regime,
        backbone=backbone,
        seed=seed,
        status="skipped",
        reason=reason,
        predicted=predicted or Cost(),
    )


def in_order(trials: Sequence[PlannedTrial]) -> tuple[PlannedTrial, ...]:
    """Cheapest first by prediction, within four ranks: exact heads, the baseline that others must beat; trained heads,
    whose many short fits are hard to time beforehand; what trains blocks; random initialisation, since it is the
    control and not the candidate."""

    def rank(trial: PlannedTrial) -> tuple[bool, bool, bool, float]:
        regime = trial.recipe.regime
        is_control = regime.init == "random"
        return is_control, not regime.is_head_only, not regime.is_exact, trial.predicted.seconds or 0.0

    return tuple(sorted(trials, key=rank))


def _cuts(
    regime: Regime, backbone: Backbone, curve: Sequence[LayerProbe], settings: Settings, task: Task
) -> list[int | str | None]:
    if settings.cut is not None and (regime.needs_cut or regime.adapter is not None):
        return [settings.cut]
    if not regime.needs_cut:
        return [None]
    rises = METRICS[task.metric].greater_is_better
    return list(proposed_cuts(curve, valid_cuts(backbone).valid, greater_is_better=rises))


def _plan_trial(
    backbone: Backbone,
    regime: Regime,
    cut: int | str | None,
    calibration: Calibration,
    judging: Judging,
    task: Task,
    prefix: str,
) -> PlannedTrial:
    first_train, first_held = judging.repeats[0][0]
    recipe = resolve_recipe(regime, backbone, cut=cut, rows=len(first_train), task=task)
    recipe = _in_parts(recipe, calibration)
    repeats = len(judging.repeats) if regime.is_head_only else 1
    rows, judged = len(first_train), len(first_held)
    one = fit_seconds(recipe, calibration, rows, judged, _can_cache(recipe, backbone))
    cost = price(
        recipe,
        backbone,
        calibration,
        task=task,
        rows=rows,
        judged=judged,
        fits=repeats * len(judging.repeats[0]),
        refit=judging.is_cross_validation,
    )
    is_cut = regime.needs_cut or (regime.adapter is not None and cut is not None)
    name = f"{regime.name}@{recipe.cut}" if is_cut else regime.name
    return PlannedTrial(
        id=f"{prefix}{name}",
        backbone=backbone.name,
        recipe=recipe,
        repeats=repeats,
        predicted=cost,
        short_seconds=RATE_SHARE * one,
    )


def price(
    recipe: Recipe,
    backbone: Backbone,
    calibration: Calibration,
    *,
    task: Task,
    rows: int,
    judged: int,
    fits: int = 1,
    refit: bool = False,
) -> Cost:
    """What a resolved recipe will cost on a backbone.

    Args:
        recipe: Resolved for these rows.
        backbone: On which it trains.
        calibration: Of that backbone on this machine.
        task: What is predicted.
        rows: Training rows of one fit.
        judged: Validation rows of one fit.
        fits: Fits that are judged.
        refit: Whether a last fit on all rows follows if the trial takes the lead.
    """
    adapter = recipe.regime.adapter
    return predict_cost(
        recipe,
        calibration,
        width=backbone.width,
        trainable=_trainable(recipe, backbone, calibration),
        task=task,
        rows=rows,
        judged=judged,
        fits=fits,
        refit=refit,
        can_cache=_can_cache(recipe, backbone),
        kept=1.0 if adapter is None else share_with_adapter(backbone, adapter, recipe.cut),
    )


def _can_cache(recipe: Recipe, backbone: Backbone) -> bool:
    at_an_end = recipe.cut in (0, len(backbone.blocks))  # valid without trying
    return (at_an_end or recipe.cut in valid_cuts(backbone).valid) and not recipe.regime.starts_changed


def _in_parts(recipe: Recipe, calibration: Calibration) -> Recipe:
    """The recipe with batches passing in parts where a whole one's activations would fill the memory."""
    room = int(_ACTIVATIONS_SHARE * calibration.available_bytes) // max(calibration.activation_bytes, 1)
    stages = []
    for stage in recipe.stages:
        size = passing(stage) if stage.phase.solver == "gradient" else 0
        while (
            size > max(room, 1) and stage.phase.batchnorm == "inference" and stage.phase.loss == "supervised"
        ):
            size //= 2
        if stage.phase.solver == "gradient" and size < passing(stage):
            phase = stage.phase.model_copy(update={"micro_batch": size})
            stage = stage.model_copy(update={"phase": phase})
        stages.append(stage)
    return recipe.model_copy(update={"stages": tuple(stages)})


def _trainable(recipe: Recipe, backbone: Backbone, calibration: Calibration) -> int:
    """Parameters that train beside the head."""
    if recipe.regime.adapter is not None:
        return sum(injected_sizes(backbone, recipe.regime.adapter, recipe.cut).values())
    return calibration.trainable[recipe.cut]


def cut_name(frozen_blocks: int, blocks: Sequence[Block], pattern: str | None = None) -> str:
    """What trains, in words."""
    if frozen_blocks >= len(blocks):
        return "head only"
    where = "everything" if frozen_blocks == 0 else f"{blocks[frozen_blocks].name} and above"
    return where if pattern is None else f"{pattern} in {where}"
