"""The four axes on which the choice turns, each as a bar between two ends and in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cutpoint.reports import format
from cutpoint.reports.facts import DISTANCE_NAMES
from cutpoint.types import Axes, Circumstances, Cost

_UPKEEP = {"never": 0.0, "yearly": 0.25, "monthly": 0.5, "weekly": 0.75, "daily": 1.0}
_DECADES = (1.0, 6.0)
"""Of rows: the bar of the size runs from ten examples to a million."""


@dataclass(frozen=True)
class AxisCard:
    """One axis; `share` (0…1) is the bar's length, None where the axis was not measured."""

    name: str
    words: str
    share: float | None
    ends: tuple[str, str]
    details: tuple[str, ...]


def scorecard(axes: Axes, costs: Iterable[Cost], metric: str) -> tuple[AxisCard, ...]:
    """Size, distance, budget, upkeep.

    Args:
        axes: As measured.
        costs: Predicted cost of every regime that was priced.
        metric: Of the probe's score.
    """
    return _size(axes), _distance(axes, metric), _budget(axes, costs), _upkeep(axes.circumstances)


def _size(axes: Axes) -> AxisCard:
    low, high = _DECADES
    details = []
    if axes.per_class is not None:
        details.append(f"{format.count(round(axes.per_class))} a class (median of {axes.classes})")
    if axes.smallest_class is not None:
        details.append(f"smallest class: {format.count(axes.smallest_class)}")
    if axes.imbalance is not None:
        details.append(f"largest class {axes.imbalance:.1f} times the smallest")
    share = (math.log10(max(axes.rows, 1)) - low) / (high - low)
    words = f"{format.count(axes.rows)} training examples"
    return AxisCard("How many examples", words, _clipped(share), ("ten", "a million"), tuple(details))


def _distance(axes: Axes, metric: str) -> AxisCard:
    distance = axes.distance
    words = "not measured"
    if distance is not None:
        words = f"{distance:.2f}: at 0 frozen features solve the task, at 1 they say no more than chance"
    scores = {
        "a linear head on frozen features": axes.probe,
        "the same on random weights": axes.random_init,
        "the best constant answer": axes.chance,
    }
    details = [
        f"{name}: {format.value(score, metric)}" for name, score in scores.items() if score is not None
    ]
    if axes.best_depth is not None:
        details.append(f"best read after {100 * axes.best_depth:.0f} % of the blocks")
    details += [f"{DISTANCE_NAMES.get(name, name)}: {number:.3g}" for name, number in axes.to_source.items()]
    share = None if distance is None else _clipped(distance)
    name = "How far from what the backbone knows"
    return AxisCard(name, words, share, ("familiar", "alien"), tuple(details))


def _budget(axes: Axes, costs: Iterable[Cost]) -> AxisCard:
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    budget = format.seconds(axes.budget_seconds)
    name = "Time to compute"
    if not seconds:
        return AxisCard(name, f"budget {budget}; nothing was priced", None, ("none fit", "all fit"), ())
    fit = sum(number <= axes.budget_seconds for number in seconds)
    words = f"{fit} of {len(seconds)} priced regimes fit, each alone, into the budget of {budget}"
    detail = f"cheapest {format.seconds(min(seconds))}, dearest {format.seconds(max(seconds))}"
    return AxisCard(name, words, fit / len(seconds), ("none fit", "all fit"), (detail,))


def _upkeep(said: Circumstances) -> AxisCard:
    retrained = "never retrained" if said.retrain == "never" else f"retrained {said.retrain}"
    details = []
    if said.wrong_costs != "nothing special":
        details.append(f"an error costs {said.wrong_costs}")
    if said.unlabelled:
        details.append(f"more without labels: {said.unlabelled}")
    if said.other_task:
        details.append(f"a related labelled set: {said.other_task}")
    words = f"{format.plural(said.tasks, 'task')}, {retrained}"
    share = _UPKEEP[said.retrain]
    return AxisCard("How long it has to be kept", words, share, ("built once", "daily"), tuple(details))


def _clipped(share: float) -> float:
    return min(1.0, max(0.0, share))
