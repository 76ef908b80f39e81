"""The decision benchmark's arithmetic: crosswise regret, contenders that choose what they say, files that are read."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks/ stands beside the package

from benchmarks.decision.cells import CELLS
from benchmarks.decision.contenders import CONTENDERS, random_order, trial_of
from benchmarks.decision.regret import is_within_noise, regret
from benchmarks.decision.report import tables
from benchmarks.decision.results import Outcome, Played, read

ROWS = 1000


def outcome(name: str, accuracy: float, seconds: float = 10.0, validation: float | None = None) -> Outcome:
    is_right = np.random.default_rng(sum(map(ord, name))).random(ROWS) < accuracy
    return Outcome(name, is_right, accuracy if validation is None else validation, seconds)


def played(trials: list[Outcome], race: Outcome) -> Played:
    return Played(
        cell="made-up",
        seed=0,
        is_held_back=False,
        shared_seconds=2.0,
        trials={trial.trial: trial for trial in trials},
        race=race,
        rules={"A": ["linear-probe"], "B": [], "C": ["lora", "full"], "D": ["partial"], "E": ["partial"]},
        record={"trials": {"full": {"status": "finished", "seconds": 12.0, "predicted": 10.0}}},
    )


@pytest.fixture
def cell() -> Played:
    trials = [
        outcome("linear-probe", 0.7, 1.0),
        outcome("partial@2", 0.8, 20.0),
        outcome("partial@6", 0.75, 10.0),
        outcome("full", 0.9, 60.0),
    ]
    return played(trials, Outcome("full", trials[3].is_right, 0.9, 50.0))


def test_the_best_has_no_regret_and_the_worst_all_of_it(cell: Played) -> None:
    assert regret(cell, cell.trials["full"]) == pytest.approx(0.0, abs=1e-9)
    assert regret(cell, cell.trials["linear-probe"]) == pytest.approx(20, abs=3)
    assert is_within_noise(cell, cell.trials["full"])
    assert not is_within_noise(cell, cell.trials["linear-probe"])


def test_equal_trials_have_no_regret_on_average() -> None:
    found = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        trials = [Outcome(str(number), random.random(ROWS) < 0.8, 0.8, 1.0) for number in range(6)]
        found.append(regret(played(trials, trials[0]), trials[0]))
    assert np.mean(found) == pytest.approx(0.0, abs=0.35)


def test_contenders_choose_what_they_say(cell: Played) -> None:
    chosen = {name: choose(cell)[0] for name, choose in CONTENDERS.items() if "random" not in name}
    assert chosen["always probe"].trial == "linear-probe"
    assert chosen["always full"].seconds == 62.0
    assert chosen["always LoRA or partial"].trial == "partial@6"
    assert chosen["rules B"].trial == "linear-probe"
    assert chosen["rules C"].trial == "full"
    assert chosen["everything, best validation"].seconds == cell.exhaustive_seconds == 93.0
    assert chosen["race"].seconds == 50.0


def test_random_order_keeps_to_the_race_s_cost(cell: Played) -> None:
    found = random_order(cell)
    assert all(each.seconds <= cell.race.seconds for each in found)
    assert {each.trial for each in found} == {
        "partial@2"
    }  # both cuts fit, and it validates better; full never fits


def test_a_regime_that_was_not_run_is_told(cell: Played) -> None:
    with pytest.raises(KeyError, match="setfit"):
        trial_of(cell, ["setfit"])


def test_files_are_read_into_the_table(tmp_path: Path) -> None:
    def write(path: Path, record: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))

    truth = [0, 1] * 20
    for name, wrong in (("linear-probe", 10), ("full", 2), ("partial@3", 4)):
        answers = [1 - t if row < wrong else t for row, t in enumerate(truth)]
        score = {"value": 1 - wrong / 40}
        write(
            tmp_path / "oracle" / "made-up-8" / "0" / f"{name}.json",
            {"trial": name, "answers": answers, "validation": score, "cpu_seconds": 5.0},
        )
    folder = tmp_path / "oracle" / "made-up-8" / "0"
    cell = {"cell": "made-up-8", "seed": 0, "held_back": True, "planning_cpu_seconds": 1.0, "truth": truth}
    write(folder / "cell.json", cell)
    (folder / "done").touch()
    assert read(tmp_path / "oracle", tmp_path / "races") == []  # no race yet
    trials = {"full": {"status": "finished", "seconds": 6.0, "predicted": 4.0}}
    race = {"winner": "full", "answers": truth, "validation": {"value": 1.0}, "cpu_seconds": 8.0}
    write(
        tmp_path / "races" / "made-up-8-0.json",
        {**race, "rules": {"A": [], "B": [], "C": [], "D": [], "E": []}, "trials": trials},
    )
    found = read(tmp_path / "oracle", tmp_path / "races")
    assert found[0].exhaustive_seconds == 16.0
    text = tables(found)
    assert "| made-up-8 (held back) | full 95.0 | 75.0 | full 100.0 |" in text
    assert "1.50 times the predicted ones" in text


def test_a_third_of_the_cells_is_held_back() -> None:
    assert len({cell.id for cell in CELLS}) == len(CELLS) >= 18
    assert 1 / 3 <= sum(cell.is_held_back for cell in CELLS) / len(CELLS) <= 1 / 2
