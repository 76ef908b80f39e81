"""Charts over depth and over time: the every-layer probe, and the learning curves of a trial."""

from __future__ import annotations

import math
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cutpoint.reports import draw, format
from cutpoint.types import EpochRecord, LayerProbe, Trial


def layer_chart(
    name: str, rows: tuple[LayerProbe, ...], cut: int | None, metric: str, *, number: int = 0
) -> str:
    """Probe score of every block of one backbone as SVG, with the chosen cut marked."""
    with draw.canvas(f"layers-{number}", 1000, 360) as (figure, axes):
        depth = [row.index for row in rows]
        axes.plot(
            depth, [row.score for row in rows], color=draw.BLUE, marker="o", markersize=5, linewidth=1.8
        )
        sign = format.direction(metric)
        best = max(rows, key=lambda row: sign * row.score)
        axes.plot(best.index, best.score, marker="o", markersize=9, color=draw.BLUE, linestyle="none")
        axes.set_xlim(0.4, max(depth) + 0.6)
        axes.margins(y=0.16)
        axes.yaxis.set_inverted(sign < 0)
        axes.annotate(
            f"best {format.value(best.score, metric)}",
            (best.index, best.score),
            xytext=(0, 9),
            textcoords="offset points",
            ha="right" if best.index > max(depth) * 0.8 else "center",
            fontsize=10,
            zorder=6,
        )
        _mark_cut(axes, cut, max(depth))
        _name_blocks(axes, rows)
        draw.format_axis(axes, "y", lambda height: format.tick(format.value(height, metric)))
        axes.set_ylabel(f"probe {format.metric_name(metric)}")
        description = (
            f"Score of a linear probe after each block of {name}: from {format.value(rows[0].score, metric)} "
            f"after {rows[0].block} to {format.value(best.score, metric)} after {best.block}"
        )
        return draw.to_svg(figure, description)


def learning_chart(trial: Trial, number: int) -> str:
    """Training and validation loss of every fit of a trial as SVG; phases shaded, kept epochs marked."""
    with draw.canvas(f"learning-{number}", 340, 230) as (figure, axes):
        axes.grid(axis="x", visible=False)
        strength = 1.0 if len(trial.curves) == 1 else 0.6
        for curve in trial.curves:
            _draw_fit(axes, curve, strength)
        longest = max(trial.curves, key=len)
        _shade_phases(axes, longest)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
        draw.format_axis(axes, "x", lambda epoch: f"{epoch + 1:.0f}")
        axes.set_xlim(-0.5, len(longest) - 0.5)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        return draw.to_svg(figure, _spoken(trial))


def _mark_cut(axes: Axes, cut: int | None, blocks: int) -> None:
    if cut is None:
        return
    at = cut + 0.5
    axes.axvspan(0.4, at, color=draw.BLUE, alpha=0.10, linewidth=0)
    axes.axvspan(at, max(blocks + 0.6, at), color=draw.ORANGE, alpha=0.12, linewidth=0)
    axes.axvline(at, color=draw.ORANGE, linewidth=1.8)
    near_end = cut > blocks * 0.7
    axes.annotate(
        "the chosen cut",
        (at, 0.04),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if near_end else 6, 0),
        textcoords="offset points",
        ha="right" if near_end else "left",
        fontsize=10,
        fontweight="bold",
    )


def _name_blocks(axes: Axes, rows: tuple[LayerProbe, ...]) -> None:
    step = math.ceil(len(rows) / 26)
    shown = rows[::-1][::step][::-1]
    axes.set_xticks([row.index for row in shown])
    axes.set_xticklabels(
        [row.block for row in shown],
        rotation=45,
        ha="right",
        rotation_mode="anchor",
        fontsize=9,
        parse_math=False,
    )
    axes.grid(axis="x", visible=False)


def _draw_fit(axes: Axes, curve: tuple[EpochRecord, ...], strength: float) -> None:
    epochs = [record.epoch for record in curve]
    axes.plot(epochs, [record.train_loss for record in curve], color=draw.BLUE, linewidth=1.4, alpha=strength)
    validation = [math.nan if record.validation_loss is None else record.validation_loss for record in curve]
    axes.plot(epochs, validation, color=draw.ORANGE, linewidth=1.4, alpha=strength, linestyle=(0, (4, 1.5)))
    kept = [record for record in curve if record.best and record.validation_loss is not None]
    if kept and kept[-1].validation_loss is not None:
        axes.plot(kept[-1].epoch, kept[-1].validation_loss, marker="D", markersize=5, color=draw.ORANGE)


def _shade_phases(axes: Axes, curve: tuple[EpochRecord, ...]) -> None:
    phases = [list(records) for _, records in groupby(curve, key=lambda record: record.phase)]
    if len(phases) < 2:
        return
    for number, records in enumerate(phases):
        left, right = records[0].epoch - 0.5, records[-1].epoch + 0.5
        if number % 2:
            axes.axvspan(left, right, color=draw.MUTED, alpha=0.14, linewidth=0)
        axes.annotate(
            f"{records[0].frozen_blocks} frozen" if not number else f"{records[0].frozen_blocks}",
            ((left + right) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=draw.MUTED,
        )


def _spoken(trial: Trial) -> str:
    last = trial.curves[0][-1] if trial.curves[0] else None
    end = f", training loss {last.train_loss:.3g} at the end" if last else ""
    return f"Learning curves of {trial.id}: {format.plural(len(trial.curves), 'fit')}{end}"
