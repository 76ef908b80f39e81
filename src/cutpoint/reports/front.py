"""Score against cost: every trial with its interval, and the front of those that nothing cheaper beats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import Bbox

from cutpoint.reports import draw, format
from cutpoint.reports.facts import efficient_front, labels_of, scored
from cutpoint.types import Result, Trial


@dataclass(frozen=True)
class Panel:
    """One cost to set the score against."""

    name: str
    title: str
    axis: str
    cost: Callable[[Trial], float | None]
    words: Callable[[float], str]


PANELS = (
    Panel("seconds", "Training time", "training time", lambda trial: trial.cost.seconds, format.seconds),
    Panel(
        "trainable",
        "Trained parameters",
        "parameters trained",
        lambda trial: trial.cost.trainable_parameters,
        lambda number: format.compact(round(number)),
    ),
    Panel(
        "stored",
        "Storage for each task",
        "bytes stored for each task",
        lambda trial: trial.cost.stored_bytes,
        lambda number: format.size(round(number)),
    ),
)


MOST_NAMED = 16
"""Points that can all carry a label."""


def front_chart(result: Result, panel: Panel, width: float, height: float) -> str | None:
    """Validation score against one cost (log scale) as SVG; None where no trial has both."""
    trials = [trial for trial in scored(result) if (panel.cost(trial) or 0) > 0]
    if not trials:
        return None
    points = [(trial.id, float(panel.cost(trial) or 0), _height(trial)) for trial in trials]
    sign = format.direction(result.task.metric)
    low = below_scale(result)
    with draw.canvas(f"front-{panel.name}", width, height) as (figure, axes):
        _set_axes(axes, panel, points, trials)
        _set_heights(axes, [trial for trial in trials if trial.id not in low] or trials, sign)
        finished = {trial.id for trial in trials if trial.status == "finished"}
        front = efficient_front((name, cost, sign * y) for name, cost, y in points if name in finished)
        points = [_at_edge(axes, point) if point[0] in low else point for point in points]
        _draw_front(axes, [point for point in points if point[0] in front])
        for trial, (_, cost, y) in zip(trials, points, strict=True):
            _draw_point(
                axes, trial, cost, y, is_winner=trial.id == result.winner, to_scale=trial.id not in low
            )
        figure.draw_without_rendering()
        named = _named(points, front, result.winner)
        labels = _labels(result, low)
        draw.place_labels(
            axes,
            [(cost, y, labels[name]) for name, cost, y in named],
            bold=next((row for row, point in enumerate(named) if point[0] == result.winner), None),
            lines=_bars(axes, trials, points) + _front_boxes(axes, points, front),
        )
        return draw.to_svg(figure, _description(panel, trials))


def below_scale(result: Result) -> set[str]:
    """Ids of the trials so far below the others that they are marked at the lower edge, not to scale."""
    trials = scored(result)
    sign = format.direction(result.task.metric)
    floor = _floor([sign * _height(trial) for trial in trials]) if trials else 0.0
    return {trial.id for trial in trials if sign * _height(trial) < floor}


def _height(trial: Trial) -> float:
    assert trial.validation is not None
    return trial.validation.value


def _draw_front(axes: Axes, points: list[tuple[str, float, float]]) -> None:
    ordered = sorted(points, key=lambda point: point[1])
    axes.step(
        [point[1] for point in ordered],
        [point[2] for point in ordered],
        where="post",
        color=draw.BLUE,
        linewidth=1.6,
        alpha=0.55,
        zorder=2,
    )


def _draw_point(
    axes: Axes, trial: Trial, cost: float, height: float, *, is_winner: bool, to_scale: bool
) -> None:
    assert trial.validation is not None
    colour = draw.ORANGE if is_winner else draw.BLUE
    if to_scale:
        axes.vlines(cost, trial.validation.low, trial.validation.high, color=colour, linewidth=1.4, zorder=3)
    axes.plot(
        cost,
        height,
        marker="v" if not to_scale else "D" if is_winner else "o",
        markersize=9 if is_winner else 7,
        markerfacecolor=colour if trial.status == "finished" else draw.PAPER,
        markeredgecolor=colour,
        markeredgewidth=1.5,
        linestyle="none",
        zorder=4,
    )


def _set_axes(axes: Axes, panel: Panel, points: list[tuple[str, float, float]], trials: list[Trial]) -> None:
    axes.set_xscale("log")
    costs = [cost for _, cost, _ in points]
    axes.set_xlim(min(costs) / 2, max(costs) * 2.5)
    metric = trials[0].validation.metric if trials[0].validation else ""
    if panel.name == "seconds":
        axes.xaxis.set_major_locator(FixedLocator(draw.time_ticks(*axes.get_xlim())))
    draw.format_axis(axes, "x", lambda number: format.tick(panel.words(number)))
    draw.format_axis(axes, "y", lambda number: format.tick(format.value(number, metric)))
    axes.minorticks_off()
    axes.set_xlabel(f"{panel.axis} (logarithmic scale)")
    axes.set_ylabel(f"validation {format.metric_name(metric)}")


def _floor(heights: list[float]) -> float:
    """The lowest score drawn to scale: one poor trial must not squeeze all others into a line."""
    best = max(heights)
    least = best - 4 * (best - median(heights))
    return least if best > least > min(heights) else min(heights)


def _set_heights(axes: Axes, trials: list[Trial], sign: int) -> None:
    """Limits that hold every interval; the better end is on top, also where less is better."""
    scores = [trial.validation for trial in trials if trial.validation]
    worst = min(min(sign * score.low, sign * score.high) for score in scores)
    best = max(max(sign * score.low, sign * score.high) for score in scores)
    room = 0.12 * (best - worst) or 0.01
    axes.set_ylim(sign * (worst - 2 * room), sign * (best + room))


def _at_edge(axes: Axes, point: tuple[str, float, float]) -> tuple[str, float, float]:
    bottom, top = axes.get_ylim()
    return (point[0], point[1], bottom + 0.03 * (top - bottom))


def _named(
    points: list[tuple[str, float, float]], front: list[str], winner: str | None
) -> list[tuple[str, float, float]]:
    """The points that get a label: all, or where that would be a thicket, the front and the winner."""
    if len(points) <= MOST_NAMED:
        return points
    return [point for point in points if point[0] in front or point[0] == winner]


def _labels(result: Result, low: set[str]) -> dict[str, str]:
    """Labels of the trials; those not drawn to scale carry their score."""
    scores = {trial.id: format.score(trial.validation) for trial in result.trials if trial.id in low}
    return {
        name: f"{label}: {scores[name]}" if name in low else label
        for name, label in labels_of(result).items()
    }


def _bars(axes: Axes, trials: list[Trial], points: list[tuple[str, float, float]]) -> list[Bbox]:
    boxes = []
    for trial, (_, cost, _) in zip(trials, points, strict=True):
        assert trial.validation is not None
        x, low = axes.transData.transform((cost, trial.validation.low))
        _, high = axes.transData.transform((cost, trial.validation.high))
        boxes.append(Bbox.from_extents(x - 2, min(low, high), x + 2, max(low, high)))
    return boxes


def _front_boxes(axes: Axes, points: list[tuple[str, float, float]], front: list[str]) -> list[Bbox]:
    corners = [
        axes.transData.transform(point[1:])
        for point in sorted(points, key=lambda point: point[1])
        if point[0] in front
    ]
    boxes = []
    for (left, bottom), (right, top) in pairwise(corners):
        boxes.append(Bbox.from_extents(left, bottom - 2, right, bottom + 2))
        boxes.append(Bbox.from_extents(right - 2, bottom, right + 2, top))
    return boxes


def _description(panel: Panel, trials: list[Trial]) -> str:
    spoken = (f"{trial.id} {format.score(trial.validation)}" for trial in trials)
    return f"Validation score against {panel.axis}, cheapest first: " + ", ".join(spoken)
