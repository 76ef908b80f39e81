"""What intervals and decisions promise, in simulation: coverage, swaps of equals, gains found, the winner's curse.

    python -m benchmarks.coverage

Writes the tables of docs/concepts/intervals.md; takes a few minutes on one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cutpoint.evaluation.comparison import LIKELY, PROVEN, compare
from cutpoint.evaluation.intervals import score
from cutpoint.evaluation.selection import optimism
from cutpoint.types import Task

from .page import put

PAGE = Path(__file__).parents[1] / "docs" / "concepts" / "intervals.md"
BINARY = Task(kind="binary", labels=("no", "yes"))
ROUNDS = 1000
PAIRS = 1000
FLATTERED = 60
NEEDED = (0.5, LIKELY, 0.8, PROVEN)
"""Shares of resamples that a challenger might have to be ahead in."""
Answers = NDArray[np.float32]


def answers(is_right: NDArray[np.bool_]) -> Answers:
    """Predictions for targets of class 1."""
    return np.eye(2, dtype=np.float32)[is_right.astype(np.int64)]


def accuracy_coverage(share: float, rows: int) -> float:
    """How often the interval of an accuracy holds the true one."""
    random, held = np.random.default_rng(0), 0
    for _ in range(ROUNDS):
        found = score(BINARY, np.ones(rows, dtype=np.int64), answers(random.random(rows) < share))
        held += found.low <= share <= found.high
    return held / ROUNDS


def error_coverage(rows: int) -> float:
    """The same of the mean of a skewed (exponential) error."""
    random, held = np.random.default_rng(0), 0
    task = Task(kind="regression", metric="mae")
    for seed in range(ROUNDS // 4):
        errors = random.exponential(size=(rows, 1)).astype(np.float32)
        found = score(task, np.zeros(rows, dtype=np.float32), errors, seed=seed)
        held += found.low <= 1 <= found.high
    return held / (ROUNDS // 4)


def pairs(rows: int, gain: float) -> dict[str, float]:
    """Two trials near .8 that decide one example in five otherwise, the second better by `gain`."""
    random, counts = np.random.default_rng(1), {"replaces": 0, "eliminated": 0, "kept out": 0, "covered": 0}
    for seed in range(PAIRS):
        draw = random.random(rows)
        both, first, second = draw < 0.7, (draw >= 0.7) & (draw < 0.8), (draw >= 0.8) & (draw < 0.9 + gain)
        compared = compare(
            BINARY,
            np.ones(rows, dtype=np.int64),
            answers(both | first),
            answers(both | second),
            leader_id="a",
            challenger_id="b",
            seed=seed,
        )
        counts[compared.decision] += 1
        counts["covered"] += compared.low <= gain <= compared.high
    return {name: count / PAIRS for name, count in counts.items()}


def lost(rows: int) -> dict[float, float]:
    """Points lost on average by taking the challenger only above a share of resamples, against always taking the truly
    better: true gains are normal around nought with a deviation of five points."""
    random = np.random.default_rng(2)
    loss = dict.fromkeys(NEEDED, 0.0)
    for seed in range(PAIRS):
        gain = float(np.clip(random.normal(0, 0.05), -0.1, 0.1))
        draw = random.random(rows)
        both, first, second = draw < 0.7, (draw >= 0.7) & (draw < 0.8), (draw >= 0.8) & (draw < 0.9 + gain)
        sides = answers(both | first), answers(both | second)
        for needed in NEEDED:
            compared = compare(
                BINARY,
                np.ones(rows, dtype=np.int64),
                *sides,
                leader_id="a",
                challenger_id="b",
                needed=needed,
                seed=seed,
            )
            loss[needed] += max(gain, 0) - gain * (compared.decision == "replaces")
    return {needed: 100 * total / PAIRS for needed, total in loss.items()}


def flattery(rows: int, trials: int) -> tuple[float, float]:
    """True and stated excess of the best of several trials of accuracy .8, in points."""
    true, stated = [], []
    for seed in range(FLATTERED):
        random = np.random.default_rng(seed)
        found = {str(number): answers(random.random(rows) < 0.8) for number in range(trials)}
        best = max(float(each[:, 1].mean()) for each in found.values())
        true.append(best - 0.8)
        stated.append(optimism(BINARY, np.ones(rows, dtype=np.int64), found, seed=seed))
    return 100 * float(np.mean(true)), 100 * float(np.mean(stated))


def table(header: str, rows: list[tuple[str, ...]]) -> str:
    """As Markdown."""
    lines = [header, "|" + "---|" * (header.count("|") - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def simulations() -> str:
    """All tables."""
    cases: list[tuple[str, Callable[[], float]]] = [
        *(
            (f"accuracy {share}, {rows} examples (Wilson)", lambda s=share, r=rows: accuracy_coverage(s, r))
            for share, rows in ((0.5, 40), (0.8, 150), (0.9, 40), (0.97, 450))
        ),
        *((f"skewed error, {rows} examples (BCa)", lambda r=rows: error_coverage(r)) for rows in (40, 150)),
    ]
    coverage = [(name, f"{measure():.1%}") for name, measure in cases]
    decided = []
    for gain in (0.0, 0.02, 0.05):
        for rows in (40, 150, 450):
            found = pairs(rows, gain)
            decided.append(
                (
                    f"{100 * gain:.0f} points",
                    str(rows),
                    *(f"{found[key]:.2f}" for key in ("replaces", "eliminated", "covered")),
                )
            )
    losses = [(str(rows), *(f"{points:.2f}" for points in lost(rows).values())) for rows in (40, 150, 450)]
    flattered = []
    for trials in (1, 3, 6):
        for rows in (40, 150, 450):
            true, stated = flattery(rows, trials)
            flattered.append((str(trials), str(rows), f"{true:.1f}", f"{stated:.1f}"))
    return "\n\n".join(
        [
            "Coverage of 95 % intervals:",
            table("| what | the interval holds the truth |", coverage),
            "A challenger whose true gain is …, judged on so many examples:",
            table(
                "| true gain | examples | takes the lead | is eliminated | the gain's interval holds the truth |",
                decided,
            ),
            "Points lost on average where the challenger has to be ahead in so many of the resamples, if true gains "
            "are normal around nought with a deviation of five points:",
            table("| examples |" + "".join(f" {share:.0%} |" for share in NEEDED), losses),
            "The best of several equal trials of true accuracy .8: by how many points it looks better than it is, and "
            "what `optimism` says:",
            table("| trials | examples | true excess | stated |", flattered),
        ]
    )


def main() -> None:
    """Simulate, print, and put the tables into the page."""
    text = simulations()
    print(text)
    put(PAGE, "simulations", text)


if __name__ == "__main__":
    main()
