"""`cutpoint predict` and `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def test_a_folder_and_a_file_are_predicted_by_name(cutpoint, bars: Path, trained: Path) -> None:
    ended = cutpoint("predict", trained / "model", bars / "level", bars / "upright" / "3.png")
    assert ended.code == 0, ended.err
    rows = [line.split("\t") for line in ended.out.splitlines()]
    expected = [str(bars / "level" / f"{number}.png") for number in range(12)]
    assert [row[0] for row in rows] == [*expected, str(bars / "upright" / "3.png")]
    assert rows[-1][1] == "upright"
    assert sum(row[1] == "level" for row in rows[:12]) >= 10
    assert all(0.5 <= float(row[2]) <= 1 for row in rows)


def test_json_holds_every_input_with_probabilities(cutpoint, bars: Path, trained: Path) -> None:
    ended = cutpoint("predict", trained, bars / "level", "--json", "--proba")
    assert ended.code == 0
    answers = json.loads(ended.out)
    assert len(answers) == 12
    for answer in answers:
        assert set(answer["probabilities"]) == {"level", "upright"}
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)


def test_unreadable_inputs_are_listed_and_the_others_predicted(
    cutpoint, bars: Path, trained: Path, tmp_path: Path
) -> None:
    broken, empty = tmp_path / "broken.jpg", tmp_path / "empty.png"
    broken.write_bytes(b"no picture")
    empty.touch()
    good = bars / "upright" / "1.png"
    ended = cutpoint("predict", trained, broken, good, empty, tmp_path / "absent.png")
    assert ended.code == 3
    assert ended.out.startswith(f"{good}\tupright\t") and len(ended.out.splitlines()) == 1
    for words in (broken, empty, "absent.png cannot be read as an image: does not exist", "3 of 4 inputs"):
        assert str(words) in ended.err
    ended = cutpoint("predict", trained, broken, good, "--json")
    assert ended.code == 3
    answers = json.loads(ended.out)
    assert [sorted(answer) for answer in answers] == [["error", "input"], ["input", "label", "probability"]]


def test_more_inputs_than_are_predicted_at_once_keep_their_order(
    cutpoint, bars: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cutpoint("predict", trained, bars, "--json").out
    monkeypatch.setattr("cutpoint.cli.answers._AT_ONCE", 5)
    assert cutpoint("predict", trained, bars, "--json").out == whole
    assert len(json.loads(whole)) == 24


def test_folder_without_images_and_folder_without_model(cutpoint, trained: Path, tmp_path: Path) -> None:
    ended = cutpoint("predict", trained, tmp_path)
    assert ended.code == 2 and "holds no images" in ended.err
    ended = cutpoint("predict", tmp_path, "a.png")
    assert ended.code == 2 and "There is no model" in ended.err and "hint:" in ended.err


def test_rows_of_numbers(cutpoint, tmp_path: Path) -> None:
    import cutpoint as package

    random = np.random.default_rng(0)
    inputs = random.normal(size=(60, 3))
    targets = np.where(inputs[:, 0] > 0, "over", "under").tolist()
    out = tmp_path / "run"
    package.fit(inputs, targets=targets, regimes="linear-probe", out=out, cache=tmp_path / "cache")
    table = tmp_path / "new.csv"
    table.write_text("a,b,c\n3,0,0\n-3,0,0\n")
    ended = cutpoint("predict", out, table)
    assert ended.code == 0, ended.err
    assert [line.split("\t")[:2] for line in ended.out.splitlines()] == [
        [f"{table} row 1", "over"],
        [f"{table} row 2", "under"],
    ]
    table.write_text("a,b\n3,0\n")
    ended = cutpoint("predict", out, table)
    assert ended.code == 2 and "2 columns; the model takes 3" in ended.err
    table.write_text("a,b,c\n3,0,x\n")
    ended = cutpoint("predict", out, table)
    assert ended.code == 2 and "“c”" in ended.err
    table.write_text("a,b,c\n3,0,\n")
    assert cutpoint("predict", out, table).code == 2
    picture = tmp_path / "picture.png"
    Image.new("L", (8, 8)).save(picture)
    ended = cutpoint("predict", out, picture)
    assert ended.code == 2 and "no table" in ended.err


def test_evaluate_scores_labelled_data(cutpoint, bars: Path, trained: Path) -> None:
    ended = cutpoint("evaluate", trained, bars, "--json")
    assert ended.code == 0, ended.err
    score = json.loads(ended.out)
    assert score["metric"] == "accuracy" and score["n"] == 24
    assert 0.8 <= score["value"] <= 1 and score["low"] < score["value"]
    told = cutpoint("evaluate", trained, bars)
    assert told.out.startswith("accuracy: ") and "95 % interval" in told.out and "flatters" in told.err
    ended = cutpoint("evaluate", trained, bars, "--split", "val")
    assert ended.code == 2 and "'val'" in ended.err


def test_evaluate_on_labels_that_the_model_does_not_know(
    cutpoint, bars: Path, trained: Path, tmp_path: Path
) -> None:
    for label in ("level", "slanted"):
        (tmp_path / label).mkdir()
        for number in range(4):
            (tmp_path / label / f"{number}.png").write_bytes((bars / "level" / f"{number}.png").read_bytes())
    ended = cutpoint("evaluate", trained, tmp_path)
    assert ended.code == 2 and "slanted" in ended.err
