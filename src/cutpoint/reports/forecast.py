"""Costs as they were predicted before anything ran, and how they compare with what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from cutpoint.reports import draw, facts, format
from cutpoint.types import Cost, Result

_LEAST_WIDTH = 3.0
"""Per cent: the shortest bar that is still seen."""
_COSTS: dict[str, Callable[[Cost], float | None]] = {
    "seconds": lambda cost: cost.seconds,
    "stored bytes": lambda cost: cost.stored_bytes,
}
_LEAST_MEMORY = 50_000_000
"""Bytes below which what is measured is mostly what Python and the allocator take beside the fit."""


@dataclass(frozen=True)
class Price:
    """A regime's predicted cost; `width` is the bar's length in per cent on a logarithmic scale."""

    name: str
    cost: Cost
    width: float
    fits: bool
    measured: float | None
    """Seconds that it really took; None where it did not run to its end."""


@dataclass(frozen=True)
class Outcome:
    """Predicted and measured cost of a finished trial."""

    id: str
    label: str
    predicted: Cost
    measured: Cost
    ratios: dict[str, float]
    """Kind of cost → measured ÷ predicted, where both are known; of memory, where 50 MB or more were predicted: both
    are what the fit adds to the process, and less than that says little."""


def prices(result: Result) -> tuple[Price, ...]:
    """What every regime was predicted to cost, cheapest first; those that were only priced included."""
    predicted = predicted_costs(result)
    budget = result.advice.axes.budget_seconds if result.advice else math.inf
    seconds = {name: cost.seconds for name, cost in predicted.items() if cost.seconds}
    low, high = min(seconds.values(), default=1.0), max(seconds.values(), default=1.0)
    measured = {trial.id: trial.cost.seconds for trial in result.trials if trial.status == "finished"}
    rows = [
        Price(
            name=name,
            cost=cost,
            width=_width(seconds.get(name, low), low, high),
            fits=(cost.seconds or 0.0) <= budget,
            measured=measured.get(name),
        )
        for name, cost in predicted.items()
    ]
    return tuple(sorted(rows, key=lambda price: (price.cost.seconds or 0.0, price.name)))


def predicted_costs(result: Result) -> dict[str, Cost]:
    """Trial → predicted cost: the plan's, and the advice's of what was not planned.

    Where several backbones race, the plan's trials carry the backbone in front of the name.
    """
    advised = result.advice.axes.predicted if result.advice else {}
    planned = {trial.id: trial.predicted for trial in result.trials if trial.predicted.seconds is not None}
    known = set(planned) | {name.rpartition(":")[2] for name in planned}
    return {**{name: cost for name, cost in advised.items() if name not in known}, **planned}


def outcomes(result: Result) -> tuple[Outcome, ...]:
    """Finished trials of which both costs are known, cheapest first."""
    labels = facts.labels_of(result)
    rows = [
        Outcome(trial.id, labels[trial.id], trial.predicted, trial.cost, _ratios(trial.predicted, trial.cost))
        for trial in facts.cheapest_first(result.trials)
        if trial.status == "finished"
    ]
    return tuple(row for row in rows if "seconds" in row.ratios)


def accuracy_in_words(rows: tuple[Outcome, ...]) -> tuple[str, ...]:
    """Median and worst of measured ÷ predicted, a sentence for each kind of cost."""
    kinds = {
        "seconds": "Seconds",
        "memory": "Memory",
        "stored bytes": "Stored bytes",
    }
    return tuple(sentence for kind, words in kinds.items() if (sentence := _accuracy(rows, kind, words)))


def outcome_chart(rows: tuple[Outcome, ...]) -> str:
    """Measured against predicted seconds, both logarithmic, as SVG: on the line the prediction was right."""
    points = [(row.predicted.seconds or 0.0, row.measured.seconds or 0.0, row.label) for row in rows]
    low = min(min(point[:2]) for point in points) / 2
    high = max(max(point[:2]) for point in points) * 2
    with draw.canvas("predicted", 560, 380) as (figure, axes):
        _set_axes(axes, low, high)
        axes.plot([low, high], [low, high], color=draw.MUTED, linewidth=1.2, zorder=1)
        axes.fill_between([low, high], [low / 2, high / 2], [low * 2, high * 2], color=draw.BLUE, alpha=0.10)
        for predicted, measured, _ in points:
            axes.plot(predicted, measured, marker="o", markersize=7, color=draw.BLUE, zorder=3)
        draw.place_labels(axes, _worst(points), bold=None, lines=[])
        spoken = ", ".join(
            f"{name} {format.seconds(predicted)} predicted, {format.seconds(measured)} measured"
            for predicted, measured, name in points
        )
        return draw.to_svg(figure, f"Predicted against measured seconds: {spoken}")


def _set_axes(axes: Axes, low: float, high: float) -> None:
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    for which, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        axis.set_major_locator(FixedLocator(draw.time_ticks(low, high)))
        draw.format_axis(axes, which, lambda number: format.tick(format.seconds(number)))
    axes.minorticks_off()
    axes.set_xlabel("predicted (logarithmic scale)")
    axes.set_ylabel("measured")


def _worst(points: list[tuple[float, float, str]], number: int = 6) -> list[tuple[float, float, str]]:
    return sorted(points, key=lambda point: -abs(math.log(point[1] / point[0])))[:number]


def _width(seconds: float, low: float, high: float) -> float:
    if high <= low:
        return 100.0
    return _LEAST_WIDTH + (100 - _LEAST_WIDTH) * math.log(seconds / low) / math.log(high / low)


def _ratios(predicted: Cost, measured: Cost) -> dict[str, float]:
    pairs = {kind: (cost(predicted), cost(measured)) for kind, cost in _COSTS.items()}
    if (predicted.peak_memory_bytes or 0) >= _LEAST_MEMORY:
        pairs["memory"] = (predicted.peak_memory_bytes, measured.peak_memory_bytes)
    return {kind: real / guess for kind, (guess, real) in pairs.items() if guess and real}


def _accuracy(rows: tuple[Outcome, ...], kind: str, words: str) -> str:
    known = [row for row in rows if kind in row.ratios]
    if not known:
        return ""
    worst = max(known, key=lambda row: abs(math.log(row.ratios[kind])))
    middle = median(row.ratios[kind] for row in known)
    if abs(worst.ratios[kind] - 1) < 0.01:
        return f"{words}: as predicted in {format.plural(len(known), 'trial')}."
    return (
        f"{words}: measured {times(middle)} the prediction in the median of "
        f"{format.plural(len(known), 'trial')}, {times(worst.ratios[kind])} at worst ({worst.label})."
    )


def times(ratio: float | None) -> str:
    """A ratio as a multiple, such as "1.25×"."""
    if ratio is None:
        return format.ABSENT
    return f"{ratio:.2f}×" if ratio < 9.995 else f"{ratio:.0f}×"
