"""Seconds of every contender, and what the race reaches over time beside the peers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .ratios import Record, done, of_contender, peers
from .works import MICRO, PROBE, RACE, WORKS

COLOURS = {"Cutpoint": "tab:orange", "floor": "tab:green", "peer": "tab:blue"}


def draw(records: Sequence[Record], path: Path) -> None:
    """Draw both panels.

    Args:
        records: Of one tier.
        path: Of the PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (bars, curves) = plt.subplots(1, 2, figsize=(12, 6), width_ratios=(3, 2))
    _bars(bars, records)
    _curves(curves, records)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(axes: Any, records: Sequence[Record]) -> None:
    names, seconds, colours = [], [], []
    for work in WORKS:
        if work.name in (RACE, MICRO):
            continue
        for contender in work.contenders:
            own = of_contender(records, work.name, contender.name)
            if own:
                names.append(f"{contender.name} · {work.name}")
                seconds.append(statistics.median(each["seconds"]["model"] for each in own))
                colours.append(COLOURS[contender.side])
    places = list(range(len(names)))[::-1]
    axes.barh(places, seconds, color=colours)
    axes.set_yticks(places, names, fontsize=6)
    axes.set(xscale="log", xlabel="seconds to the trained model")


def _curves(axes: Any, records: Sequence[Record]) -> None:
    for name in peers(records, PROBE):
        points = of_contender(records, PROBE, name)[0]["points"]
        axes.plot(
            [point["seconds"] for point in points],
            [point["accuracy"] for point in points],
            marker="o",
            markersize=3,
            linewidth=1,
            label=name,
        )
    for race in done(records, RACE)[:1]:
        points = race["points"]
        ends = [*(point["seconds"] for point in points), race["seconds"]["model"]]
        scores = [*(point["accuracy"] for point in points), race["accuracy"]]
        axes.step(ends, scores, where="post", color="tab:orange", linewidth=2, label="Cutpoint, the race")
    axes.set(
        xlabel="seconds", ylabel="accuracy on the test rows", title="the race and the peers' five epochs"
    )
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7)
