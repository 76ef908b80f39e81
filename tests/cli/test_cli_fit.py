"""`cutpoint fit` and `train`, as a user types them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

PROBE = ("--backbone", "builtin:glyphs", "--regime", "linear-probe", "--budget", "60s")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fit") / "run"


def test_fit_writes_a_run_and_says_how_to_use_it(cutpoint, bars: Path, run: Path) -> None:
    ended = cutpoint("fit", bars, *PROBE, "--out", run, "--cache", run.parent / "cache")
    assert ended.code == 0, ended.err
    assert (run / "result.json").exists() and (run / "report.html").exists()
    assert "linear-probe" in ended.out and "Ship linear-probe" in ended.out
    assert f"cutpoint predict {run}/model" in ended.out
    assert "Planned 1 trial" in ended.err and "Ship" not in ended.err


def test_rerun_returns_the_same_result_without_training(cutpoint, bars: Path, run: Path) -> None:
    before = json.loads((run / "result.json").read_text())
    fits = {file: file.stat().st_mtime_ns for file in (run / "trials").rglob("fits/*.json")}
    started = time.monotonic()
    ended = cutpoint("fit", bars, *PROBE, "--out", run, "--cache", run.parent / "cache")
    assert ended.code == 0 and time.monotonic() - started < 5
    after = json.loads((run / "result.json").read_text())
    assert fits and fits == {file: file.stat().st_mtime_ns for file in fits}
    for key in ("trials", "winner", "test", "verdict"):
        assert after[key] == before[key]


def test_other_settings_in_the_same_folder_are_refused(cutpoint, bars: Path, run: Path) -> None:
    ended = cutpoint("fit", bars, *PROBE, "--seed", 7, "--out", run)
    assert ended.code == 2
    assert "other" in ended.err and "--restart" in ended.err


def test_json_is_all_there_is_on_stdout(cutpoint, bars: Path, tmp_path: Path) -> None:
    ended = cutpoint("train", bars, *PROBE, "--out", tmp_path / "run", "--cache", tmp_path, "--json")
    assert ended.code == 0
    result = json.loads(ended.out)
    assert result["status"] == "finished" and result["winner"] == "linear-probe"
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())


def test_options_reach_the_race(cutpoint, bars: Path, tmp_path: Path) -> None:
    regime = tmp_path / "short.yaml"
    regime.write_text("phases: [{train: cut, epochs: 1, rate: 0.001}]")
    chosen = ("--regime", regime, "--cut", 5, "--seed", 3, "--threads", 1, "--min-gain", "0.02")
    more = ("--per-class", 8, "--test-fraction", "0.25", "--cache-limit", "1GB", "--target", "accuracy>=0.9")
    places = ("--out", tmp_path / "run", "--cache", tmp_path / "cache")
    ended = cutpoint("fit", bars, *PROBE, *chosen, *more, *places, "--json")
    assert ended.code == 0, ended.err
    result = json.loads(ended.out)
    settings = result["settings"]
    assert settings["cut"] == 5 and settings["seed"] == 3 and settings["min_gain"] == 0.02
    assert settings["target"] == {"metric": "accuracy", "value": 0.9} and settings["budget_seconds"] == 60
    assert result["data"]["rows"] == {"train": 16, "test": 6}
    assert {trial["regime"] for trial in result["trials"]} == {"linear-probe", "short"}


def test_a_table_with_named_columns(cutpoint, bars: Path, tmp_path: Path) -> None:
    table = tmp_path / "bars.csv"
    rows = [f"{bars / label / f'{n}.png'},x,{label}" for label in ("level", "upright") for n in range(12)]
    table.write_text("\n".join(["where,what,kind", *rows]))
    columns = ("--input-column", "where", "--target-column", "kind")
    places = ("--out", tmp_path / "run", "--cache", tmp_path / "cache")
    ended = cutpoint("train", table, "--backbone", "builtin:glyphs", *columns, *places, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["task"]["labels"] == ["level", "upright"]
