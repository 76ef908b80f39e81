"""What the JSON files of the suite hold, read into arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcome:
    """One way of choosing on one cell: its answers on the test split and its cost.

    Attributes:
        trial: What was chosen.
        is_right: (test rows,) bool.
        validation: Score that it was chosen by.
        seconds: CPU seconds on one thread.
    """

    trial: str
    is_right: NDArray[np.bool_]
    validation: float
    seconds: float

    @property
    def accuracy(self) -> float:
        return float(self.is_right.mean())


@dataclass(frozen=True)
class Played:
    """One cell under one seed: all trials to their end, and the race.

    Attributes:
        cell: Its id.
        is_held_back: Whether it is of the final check.
        shared_seconds: CPU seconds of features, probes and timing, which every way of choosing needs.
        trials: Trial → its outcome.
        race: What the race shipped, at the race's cost.
        rules: Rule set → regimes that it recommends, the first preferred.
        record: The race's JSON.
    """

    cell: str
    seed: int
    is_held_back: bool
    shared_seconds: float
    trials: dict[str, Outcome]
    race: Outcome
    rules: dict[str, list[str]]
    record: dict[str, Any]

    @property
    def exhaustive_seconds(self) -> float:
        return self.shared_seconds + sum(outcome.seconds for outcome in self.trials.values())


def read(oracle: Path, races: Path) -> list[Played]:
    """Every cell and seed that has both its exhaustive run and its race.

    Args:
        oracle: Folder of CELL/SEED/*.json.
        races: Folder of CELL-SEED.json.
    """
    return [
        _played(folder, races / f"{folder.parent.name}-{folder.name}.json")
        for folder in sorted(path.parent for path in oracle.glob("*/*/done"))
        if (races / f"{folder.parent.name}-{folder.name}.json").exists()
    ]


def _played(folder: Path, race_file: Path) -> Played:
    cell, race = _json(folder / "cell.json"), _json(race_file)
    truth = np.array(cell["truth"])
    records = [_json(path) for path in sorted(folder.glob("*.json")) if path.name != "cell.json"]
    return Played(
        cell=cell["cell"],
        seed=cell["seed"],
        is_held_back=cell["held_back"],
        shared_seconds=cell["planning_cpu_seconds"],
        trials={
            each["trial"]: _outcome(each["trial"], each, truth) for each in records if "failed" not in each
        },
        race=_outcome(race["winner"], race, truth),
        rules=race["rules"],
        record=race,
    )


def _outcome(trial: str, record: dict[str, Any], truth: NDArray[np.int64]) -> Outcome:
    is_right = np.array(record["answers"]) == truth
    return Outcome(trial, is_right, record["validation"]["value"], record["cpu_seconds"])


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
