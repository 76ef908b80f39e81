"""The remedies that a race tries by itself: trials planned once the findings of a finished one are known."""

from __future__ import annotations

from collections.abc import Iterator

from cutpoint.features.bank import FeatureBank
from cutpoint.features.cut import valid_cuts
from cutpoint.planning.judging import Judging
from cutpoint.planning.plan import Plan, PlannedTrial, plan_trials
from cutpoint.race.remedies import Remedy, remedies
from cutpoint.regimes import resolve_regimes
from cutpoint.types import Trial

_MOST = 2
"""Remedies of one trial: the first ones help or the data are at fault."""


def mending_trials(
    plan: Plan, bank: FeatureBank, judging: Judging, ill: Trial
) -> Iterator[tuple[PlannedTrial, str]]:
    """Trials that may mend what is wrong with one, each with the reason for it.

    Args:
        plan: With the calibration and every trial that was planned.
        bank: Of the trial's backbone.
        judging: As for every trial.
        ill: A finished trial with warnings.
    """
    known = {planned.id for planned in plan.trials} | {trial.id for trial in plan.excluded}
    tried = {planned.recipe.regime.name for planned in plan.trials if planned.backbone == ill.backbone}
    for remedy in remedies(ill, bank.dataset.modality, tried)[:_MOST]:
        for planned in _planned(plan, bank, judging, ill, remedy):
            if planned.id not in known:
                yield planned, f"{ill.id} shows what it mends: {remedy.reason}"


def _planned(
    plan: Plan, bank: FeatureBank, judging: Judging, ill: Trial, remedy: Remedy
) -> list[PlannedTrial]:
    cut = _moved_cut(bank, ill, remedy)
    if remedy.raise_cut is not None and cut is None:
        return []
    name = bank.backbone.name
    return plan_trials(
        bank.backbone,
        resolve_regimes(remedy.regime),
        calibration=plan.calibration[name],
        curve=plan.layer_probe.get(name, ()),
        judging=judging,
        task=plan.task,
        settings=plan.settings if cut is None else plan.settings.model_copy(update={"cut": cut}),
        prefix=ill.id.removesuffix(ill.id.rpartition(":")[2]),
    )


def _moved_cut(bank: FeatureBank, ill: Trial, remedy: Remedy) -> int | None:
    """Half of the way from the trial's cut to the head, or to the input; None where it cannot move or need not."""
    if remedy.raise_cut is None or ill.cut is None:
        return None
    depth = len(bank.backbone.blocks)
    wanted = (ill.cut + depth) // 2 if remedy.raise_cut else ill.cut // 2
    inner = [
        cut
        for cut in valid_cuts(bank.backbone).valid
        if cut < depth and (cut > ill.cut if remedy.raise_cut else cut < ill.cut)
    ]
    return min(inner, key=lambda cut: abs(cut - wanted), default=None)
