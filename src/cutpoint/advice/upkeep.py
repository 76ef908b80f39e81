"""What storage and retraining cost over the horizon: how many tasks, how often."""

from __future__ import annotations

from cutpoint.advice.situation import Situation
from cutpoint.sizes import size
from cutpoint.types import Trial, Upkeep

RUNS_A_YEAR: dict[Upkeep, int] = {"never": 0, "yearly": 1, "monthly": 12, "weekly": 52, "daily": 365}
_FLOAT_BYTES = 4


def upkeep(situation: Situation) -> tuple[str, ...]:
    """A sentence a regime, cheapest first; a regime that runs at several cuts is told at its cheapest."""
    first: dict[str, Trial] = {}
    for trial in situation.allowed:
        if trial.backbone == situation.axes.backbone:
            first.setdefault(trial.regime, trial)
    return tuple(_sentence(trial, situation) for trial in first.values())


def _sentence(trial: Trial, situation: Situation) -> str:
    circumstances = situation.axes.circumstances
    tasks, runs = circumstances.tasks, RUNS_A_YEAR[circumstances.retrain]
    stored = trial.predicted.stored_bytes or 0
    base = _FLOAT_BYTES * situation.axes.parameters
    shared = (
        0 if trial.regime in situation.from_random else base
    )  # a network of its own needs no base beside it
    many = f"{tasks:,} task{'s' if tasks > 1 else ''}"
    kept = f"{trial.regime}: {many} store {size(shared + tasks * stored)} ({size(stored)} each"
    kept += f", the base of {size(shared)} once)" if shared else ")"
    if not runs or trial.predicted.seconds is None:
        return f"{kept}; trained once, {_hours(tasks * (trial.predicted.seconds or 0.0))} in all."
    hours = _hours(tasks * runs * trial.predicted.seconds)
    return f"{kept}; retrained {circumstances.retrain}, {hours} of training a year on this machine."


def _hours(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.0f} minutes" if seconds >= 60 else f"{seconds:.0f} seconds"
    return f"{seconds / 3600:,.1f} hours"
