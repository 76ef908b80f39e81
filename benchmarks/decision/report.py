"""The decision table and its plot: what every contender loses and spends, over the cells that were run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..page import put
from .cells import CELLS
from .contenders import CONTENDERS, Choose
from .regret import is_within_noise, regret
from .results import Played, read

_RESAMPLES = 4000


@dataclass(frozen=True)
class Line:
    """A contender over all cells.

    Attributes:
        name: Of the contender.
        regret: Mean points below the oracle, over cells.
        low: Lower end of its 95 % interval over cells (bootstrap).
        high: Upper end.
        worst: Largest regret of a cell.
        cost: Mean share of the exhaustive cost.
        within_noise: Share of cells in which the choice is not told from the best.
    """

    name: str
    regret: float
    low: float
    high: float
    worst: float
    cost: float
    within_noise: float


def write_report(oracle: Path, races: Path, docs: Path) -> None:
    """Put the tables into docs/concepts/decision-benchmark.md and draw its picture.

    Args:
        oracle: Folder of the exhaustive runs.
        races: Folder of the races.
        docs: The documentation.
    """
    played = read(oracle, races)
    if not played:
        raise SystemExit("No cell has both its exhaustive run and its race yet.")
    text = tables(played)
    print(text)
    put(docs / "concepts" / "decision-benchmark.md", "decision table", text)
    draw(played, docs / "images" / "decision-benchmark.png")


def line(name: str, choose: Choose, played: Sequence[Played]) -> Line:
    """One contender's figures; where its choice is random, means over its choices."""
    regrets, costs, noise = [], [], []
    for cell in played:
        outcomes = choose(cell)
        regrets.append(np.mean([regret(cell, outcome) for outcome in outcomes]))
        costs.append(np.mean([outcome.seconds for outcome in outcomes]) / cell.exhaustive_seconds)
        noise.append(np.mean([is_within_noise(cell, outcome) for outcome in outcomes]))
    random = np.random.default_rng(0)
    means = random.choice(regrets, size=(_RESAMPLES, len(regrets))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Line(
        name,
        float(np.mean(regrets)),
        float(low),
        float(high),
        float(np.max(regrets)),
        float(np.mean(costs)),
        float(np.mean(noise)),
    )


def tables(played: Sequence[Played]) -> str:
    """Contenders over all cells, over those held back, and the cells one by one, as Markdown."""
    held_back = [cell for cell in played if cell.is_held_back]
    parts = [
        f"{len(played)} of the suite's {len(CELLS)} cells have been run so far, {len(held_back)} of them held back for "
        "the final check.",
        _contenders(played),
    ]
    if held_back:
        parts += ["The cells held back, which nothing was chosen by:", _contenders(held_back)]
    return "\n\n".join([*parts, "Cell by cell:", _cells(played), _cost_model(played)])


def _contenders(played: Sequence[Played]) -> str:
    rows = [
        "| contender | regret, points [95 %] | worst cell | share of the exhaustive cost | within noise of the best |",
        "|---|---|---|---|---|",
    ]
    for name, choose in CONTENDERS.items():
        found = line(name, choose, played)
        rows.append(
            f"| {name} | {found.regret:.2f} [{found.low:.2f}, {found.high:.2f}] | {found.worst:.1f} | "
            f"{found.cost:.0%} | {found.within_noise:.0%} |"
        )
    return "\n".join(rows)


def _cells(played: Sequence[Played]) -> str:
    rows = [
        "| cell | best trial, test | probe, test | race ships, test | regret | cost | exhaustive, CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in played:
        best = max(cell.trials.values(), key=lambda outcome: outcome.accuracy)
        mark = " (held back)" if cell.is_held_back else ""
        rows.append(
            f"| {cell.cell}{mark} | {best.trial} {100 * best.accuracy:.1f} | "
            f"{100 * cell.trials['linear-probe'].accuracy:.1f} | {cell.race.trial} {100 * cell.race.accuracy:.1f} | "
            f"{regret(cell, cell.race):.2f} | {cell.race.seconds / cell.exhaustive_seconds:.0%} | "
            f"{cell.exhaustive_seconds:,.0f} |"
        )
    return "\n".join(rows)


def _cost_model(played: Sequence[Played]) -> str:
    """How far measured seconds lie from what the plan predicted, over all trials that the races finished."""
    ratios = np.array(
        [
            trial["seconds"] / trial["predicted"]
            for cell in played
            for trial in cell.record["trials"].values()
            if trial["status"] == "finished" and trial["predicted"] and trial["seconds"]
        ]
    )
    low, middle, high = np.quantile(ratios, (0.1, 0.5, 0.9))
    return (
        f"Cost model: over the {len(ratios)} trials that the races finished, measured seconds were {middle:.2f} times "
        f"the predicted ones in the median (from {low:.2f} to {high:.2f} in the middle eight of ten)."
    )


def draw(played: Sequence[Played], path: Path) -> None:
    """Regret against cost, a point a contender with its interval over cells."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 4.4))
    for number, (name, choose) in enumerate(CONTENDERS.items()):
        found = line(name, choose, played)
        errors = [[found.regret - found.low], [found.high - found.regret]]
        is_race = name == "race"
        axes.errorbar(
            100 * found.cost,
            found.regret,
            yerr=errors,
            marker="D" if is_race else "o",
            markersize=9 if is_race else 6,
            color="black" if is_race else f"C{number % 10}",
            capsize=2,
            label=name,
        )
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(
        xlabel="share of the exhaustive cost, %",
        ylabel="mean regret, points of test accuracy",
        title=f"{len(played)} cells",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper right")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
