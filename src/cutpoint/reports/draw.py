"""One style for every chart, drawn as SVG that follows the page's light or dark colours."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import Bbox

# Matplotlib knows no CSS variables: each colour is a stand-in that `to_svg` replaces by var(--name).
INK = "#010203"
MUTED = "#020304"
GRID = "#030405"
PAPER = "#040506"
BLUE = "#050607"
ORANGE = "#060708"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "line",
    PAPER: "paper",
    BLUE: "blue",
    ORANGE: "orange",
}

_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "svg.fonttype": "none",
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "figure.facecolor": "none",
    "figure.dpi": 72,  # one pixel is one point: text measured here is what the SVG holds
}

_TIMES = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800, 36000, 86400, 259200, 864000)


@contextmanager
def canvas(name: str, width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of width × height points in the report's style; `name` makes its SVG ids its own."""
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The browser draws the text: what matplotlib's own font lacks does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        yield figure, figure.add_subplot()


def to_svg(figure: Figure, description: str) -> str:
    """The figure as an SVG element that scales with the page and has a text for screen readers."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # such ids repeat from chart to chart
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    width, height = (72 * inches for inches in figure.get_size_inches())
    head = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" xmlns="http://www.w3.org/2000/svg" class="chart" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{_escaped(description)}">'
    )
    return re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)


def format_axis(axes: Axes, which: str, words: Callable[[float], str]) -> None:
    """Write the ticks of an axis ("x" or "y") with a function of report.format."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda number, _: words(number)))


def time_ticks(low: float, high: float) -> list[float]:
    """Round times within the limits: decades of seconds, then minutes, hours, days."""
    coarse = [tick for tick in _TIMES[::2] if low <= tick <= high]
    return coarse if len(coarse) > 2 else [tick for tick in _TIMES if low <= tick <= high]


def place_labels(
    axes: Axes, anchors: list[tuple[float, float, str]], *, bold: int | None, lines: list[Bbox]
) -> None:
    """Write a label beside each point so that no two overlap; a thin line leads to those further off.

    Args:
        axes: Drawn axes whose limits and scales are final.
        anchors: x, y (data) and text of each point.
        bold: Index of the label to set in bold.
        lines: Thin boxes in display points that a label should rather not cover.
    """
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    frame = axes.get_window_extent()
    points = [axes.transData.transform((x, y)) for x, y, _ in anchors]
    marks = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in points]
    order = sorted(range(len(anchors)), key=lambda index: index != bold)
    written: list[Bbox] = []
    for index in order:
        x, y = points[index]
        label = axes.annotate(
            anchors[index][2],
            (x, y),
            xycoords="figure pixels",
            textcoords="figure pixels",
            xytext=(0, 0),
            ha="left",
            va="bottom",
            fontsize=10,
            fontweight="bold" if index == bold else "normal",
            parse_math=False,
            annotation_clip=False,
        )
        extent = label.get_window_extent()
        box = min(
            _candidates(x, y, extent.width * 1.04 + 2, extent.height),
            key=lambda candidate: _badness(candidate, (x, y), frame, (written, marks, lines)),
        )
        label.set_position((box.x0, box.y0))
        written.append(box)
        _lead(axes, (x, y), box)


def _candidates(x: float, y: float, width: float, height: float) -> Iterator[Bbox]:
    for distance in (9, 16, 26, 40, 58, 80, 106):
        for across, up in ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1)):
            slant = 0.75 if across and up else 1.0
            left = x + across * distance * slant - width * (1 - across) / 2
            bottom = y + up * distance * slant - height * (1 - up) / 2
            yield Bbox.from_bounds(left, bottom, width, height)


def _badness(
    box: Bbox, point: tuple[float, float], frame: Bbox, taken: tuple[list[Bbox], list[Bbox], list[Bbox]]
) -> float:
    """Cost of a place: outside the frame and over other labels never, over marks rarely, far off a little."""
    written, marks, lines = taken
    outside = max(0.0, frame.x0 - box.x0) + max(0.0, box.x1 - frame.x1 - 2)
    outside += max(0.0, frame.y0 - box.y0) + max(0.0, box.y1 - frame.y1)
    padded = Bbox.from_extents(box.x0 - 3, box.y0 - 2, box.x1 + 3, box.y1 + 2)
    return float(
        1e6 * outside
        + 1e4 * sum(_shared_area(padded, other) for other in written)
        + 3.0 * sum(_shared_area(box, other) for other in marks)
        + 0.6 * sum(_shared_area(box, other) for other in lines)
        + _gap(point, box)
    )


def _shared_area(one: Bbox, other: Bbox) -> float:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    up = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(max(0.0, across) * max(0.0, up))


def _gap(point: tuple[float, float], box: Bbox) -> float:
    across = max(box.x0 - point[0], 0.0, point[0] - box.x1)
    up = max(box.y0 - point[1], 0.0, point[1] - box.y1)
    return float((across**2 + up**2) ** 0.5)


def _lead(axes: Axes, point: tuple[float, float], box: Bbox) -> None:
    if _gap(point, box) < 15:
        return
    end = (min(max(point[0], box.x0), box.x1), min(max(point[1], box.y0), box.y1))
    axes.annotate(
        "",
        point,
        end,
        xycoords="figure pixels",
        textcoords="figure pixels",
        annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 5},
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
