"""Score against the number of labelled examples: with transfer, without, and what twice the labels would bring."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from cutpoint.reports import draw, format
from cutpoint.types import LabelsCurve, LabelsPoint, Score

_Points = list[tuple[float, Score]]


def label_chart(curve: LabelsCurve) -> str:
    """The curve as SVG over a logarithmic axis of rows, with 95 % intervals."""
    points = sorted(curve.points, key=lambda point: point.rows)
    metric = points[0].transfer.metric
    with draw.canvas("labels", 1000, 380) as (figure, axes):
        axes.set_xscale("log")
        _draw(axes, [(point.rows, point.transfer) for point in points], draw.BLUE, "-")
        _draw(axes, [(point.rows, point.without) for point in points if point.without], draw.ORANGE, "--")
        rows = [float(point.rows) for point in points]
        if curve.at_twice:
            rows.append(2.0 * rows[-1])
            _draw_extrapolated(axes, points[-1], curve.at_twice)
        axes.set_xlim(rows[0] / 1.25, rows[-1] * 1.25)
        axes.xaxis.set_major_locator(FixedLocator(rows))
        axes.minorticks_off()
        draw.format_axis(axes, "x", lambda number: format.count(round(number)))
        draw.format_axis(axes, "y", lambda height: format.tick(format.value(height, metric)))
        axes.yaxis.set_inverted(format.direction(metric) < 0)
        axes.set_xlabel("labelled training examples (logarithmic scale)")
        axes.set_ylabel(format.metric_name(metric))
        return draw.to_svg(figure, _spoken(curve, points))


def _draw(axes: Axes, points: _Points, colour: str, style: str) -> None:
    axes.plot(
        [x for x, _ in points],
        [score.value for _, score in points],
        color=colour,
        linestyle=style,
        linewidth=1.8,
        marker="o",
        markersize=6,
        zorder=3,
    )
    for x, score in points:
        axes.vlines(x, score.low, score.high, color=colour, linewidth=1.4, zorder=2)


def _draw_extrapolated(axes: Axes, last: LabelsPoint, score: Score) -> None:
    x = 2 * last.rows
    axes.plot(
        [last.rows, x], [last.transfer.value, score.value], color=draw.BLUE, linewidth=1.4, linestyle=":"
    )
    axes.vlines(x, score.low, score.high, color=draw.BLUE, linewidth=1.4, linestyle=":")
    axes.plot(
        x,
        score.value,
        marker="o",
        markersize=8,
        markerfacecolor=draw.PAPER,
        markeredgecolor=draw.BLUE,
        markeredgewidth=1.6,
        zorder=4,
    )


def _spoken(curve: LabelsCurve, points: list[LabelsPoint]) -> str:
    parts = [
        f"{point.rows} examples: {format.score(point.transfer)}"
        + (f", without transfer {format.score(point.without)}" if point.without else "")
        for point in points
    ]
    if curve.at_twice:
        parts.append(f"{2 * points[-1].rows} examples, extrapolated: {format.score(curve.at_twice)}")
    return "Score by number of labelled examples: " + "; ".join(parts)
