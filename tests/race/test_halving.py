"""Successive halving: what is screened, what goes on, what is told of the rest; resumed as it would have run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.backbones.builtin import load_builtin
from cutpoint.data import load_dataset
from cutpoint.features.store import ActivationCache
from cutpoint.planning.plan import Entry, Plan
from cutpoint.planning.settings import Settings
from cutpoint.planning.watcher import Watcher
from cutpoint.race.halving import backbones_dropped
from cutpoint.race.race import Race
from cutpoint.race.run_folder import RunFolder, open_folder, read_record
from cutpoint.race.standing import Standing
from cutpoint.regimes import Phase, Regime, resolve_regimes
from cutpoint.types import Result, Score, Screened, Trial

PARTIAL = Regime(
    name="brief-partial",
    phases=(Phase(train="head", solver="exact"), Phase(train="cut", epochs=4, decay=0.9)),
)
FULL = Regime(name="brief-full", phases=(Phase(train="head", solver="exact"), Phase(train="all", epochs=4)))
HARMFUL = Regime(name="harmful", phases=(Phase(train="all", rate=0.5, epochs=4, batchnorm="train"),))


def race(data: Path, out: Path, cache: Path, **options: Any) -> Result:
    chosen: dict[str, Any] = {"regimes": ["linear-probe", PARTIAL, FULL, HARMFUL], "cut": 4, "threads": 1}
    return cp.fit(
        data, backbones="builtin:glyphs", budget="5m", out=out, cache=cache, **{**chosen, **options}
    )


class Ear(Watcher):
    """Hears of short runs, and interrupts when so many are done."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.heard: list[Screened] = []
        self.interrupt_after = interrupt_after

    def on_screened(self, screened: Screened) -> None:
        self.heard.append(screened)
        if len(self.heard) == self.interrupt_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def halved(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Ear, Path]:
    folder, ear = tmp_path_factory.mktemp("halved"), Ear()
    return race(stripes, folder / "out", folder / "cache", watcher=ear), ear, folder


def test_every_trial_that_trains_blocks_has_a_short_run(halved: tuple[Result, Ear, Path]) -> None:
    result, ear, _ = halved
    first = [screened for screened in result.screening if screened.rung == 0]
    assert {screened.trial for screened in first} == {"brief-partial@4", "brief-full", "harmful"}
    assert [screened.trial for screened in ear.heard] == [screened.trial for screened in first]
    assert all(screened.score is not None and screened.low <= screened.high for screened in first)


def test_what_promises_nothing_is_not_finished_and_says_why(halved: tuple[Result, Ear, Path]) -> None:
    result, _, _ = halved
    harmful = result.trial("harmful")
    assert harmful.status == "eliminated"
    assert harmful.validation is None
    assert "short run" in harmful.reason
    screened = next(each for each in result.screening if each.trial == "harmful")
    assert not screened.kept
    assert screened.reason == harmful.reason


def test_every_planned_trial_has_one_record(halved: tuple[Result, Ear, Path]) -> None:
    result, _, _ = halved
    ids = [trial.id for trial in result.trials]
    assert sorted(ids) == ["brief-full", "brief-partial@4", "harmful", "linear-probe"]
    assert result.looks == sum(trial.validation is not None for trial in result.trials)


def test_relatives_share_the_rate_that_the_first_one_chose(halved: tuple[Result, Ear, Path]) -> None:
    _, _, folder = halved
    chosen = {
        trial: json.loads((RunFolder(folder / "out").trial(trial) / "choices.json").read_text())
        for trial in ("brief-partial@4", "brief-full")
    }
    assert len(chosen["brief-partial@4"]["tried"]) == 2
    assert [run["rate"] for run in chosen["brief-full"]["tried"]] == [chosen["brief-partial@4"]["rate"]]


@pytest.mark.parametrize("interrupt_after", [1, 3])
def test_an_interrupted_race_goes_on_to_the_same_choice(
    halved: tuple[Result, Ear, Path], stripes: Path, tmp_path: Path, interrupt_after: int
) -> None:
    straight, _, _ = halved
    first = race(stripes, tmp_path / "out", tmp_path / "cache", watcher=Ear(interrupt_after))
    assert first.status == "interrupted"
    again = race(stripes, tmp_path / "out", tmp_path / "cache")
    assert again.winner == straight.winner
    assert again.test == straight.test
    told = [(trial.id, trial.status, trial.reason, trial.validation) for trial in again.trials]
    assert told == [(trial.id, trial.status, trial.reason, trial.validation) for trial in straight.trials]


def test_exhaustive_runs_everything_to_its_end(stripes: Path, tmp_path: Path) -> None:
    result = race(stripes, tmp_path / "out", tmp_path / "cache", exhaustive=True)
    assert all(trial.validation is not None for trial in result.trials)
    assert result.screening == ()


def test_trials_that_train_blocks_race_without_any_head(stripes: Path, tmp_path: Path) -> None:
    result = race(stripes, tmp_path / "out", tmp_path / "cache", regimes=[PARTIAL, HARMFUL])
    assert result.winner == "brief-partial@4"


def test_a_short_run_is_a_part_of_what_its_trial_spends(stripes: Path, tmp_path: Path) -> None:
    raced = Race(
        load_dataset(stripes),
        [Entry(load_builtin(), (*resolve_regimes("linear-probe"), PARTIAL, HARMFUL))],
        Settings(cut=4, budget_seconds=300, min_gain=-1.0, remedies=False),
        open_folder(tmp_path / "out"),
        cache=ActivationCache(tmp_path / "cache"),
        versions={},
        watcher=Watcher(),
    )
    raced.run()
    plan = read_record(raced.folder.plan, Plan)
    assert plan is not None and any(screened.kept for screened in raced.standing.screening)
    for planned in plan.trials:
        spent, whole = raced.standing.spent[planned.id], planned.predicted.seconds or 0.0
        if planned.id in raced.standing.predictions:
            assert spent == whole
        else:
            assert 0 < spent < whole
    assert raced.standing.predicted_seconds == pytest.approx(sum(raced.standing.spent.values()))


def test_the_control_tells_how_many_labels_transfer_saves(stripes: Path, tmp_path: Path) -> None:
    control = Regime(
        name="brief-scratch", init="random", phases=(Phase(train="all", epochs=1, batchnorm="train"),)
    )
    result = race(
        stripes, tmp_path / "out", tmp_path / "cache", regimes=["linear-probe", control], exhaustive=True
    )
    told = [finding for finding in result.verdict.findings if finding.code == "labels-saved"]
    assert result.advice is not None and result.advice.labels is not None
    assert len(told) == 1
    assert "brief-scratch" in told[0].text


def test_of_many_backbones_the_lower_half_trains_no_blocks() -> None:
    standing = Standing(judging=None)  # type: ignore[arg-type]  # nothing is judged here
    for name, value in (("a", 0.9), ("b", 0.6), ("c", 0.8), ("d", 0.7)):
        score = Score(metric="accuracy", value=value, low=value - 0.05, high=value + 0.05, n=100)
        trial = Trial(
            id=f"{name}:probe", regime="linear-probe", backbone=name, status="finished", validation=score
        )
        standing.record(trial)
        standing.predictions[trial.id] = np.zeros((1, 1, 2), dtype=np.float32)
    assert set(backbones_dropped(standing, ["a", "b", "c", "d"])) == {"b", "d"}
    assert backbones_dropped(standing, ["a", "b"]) == {}
