"""The review list on the command line: written by `audit`, filled in, taken by `fit`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

_PER_CLASS = 40


@pytest.fixture
def mislabelled(tmp_path: Path) -> Path:
    """Upright and level bars; four of each stand in the other one's folder, called "wrong"."""
    random = np.random.default_rng(0)
    for label in ("level", "upright"):
        (tmp_path / "bars" / label).mkdir(parents=True)
    for number in range(2 * _PER_CLASS):
        label, other = ("level", "upright")[:: 1 if number % 2 else -1]
        pixels = random.integers(0, 60, (24, 24)).astype(np.uint8)
        start = int(random.integers(4, 16))
        pixels[start : start + 4, 3:21] = 230
        wrong = number % 20 < 2
        folder = tmp_path / "bars" / (other if wrong else label)
        picture = Image.fromarray(pixels if label == "level" else pixels.T)
        picture.save(folder / f"{'wrong' if wrong else 'right'}-{number}.png")
    return tmp_path / "bars"


def test_doubtful_labels_are_written_filled_in_and_taken(cutpoint, mislabelled: Path, tmp_path: Path) -> None:
    review, network = tmp_path / "review.csv", ("--backbone", "builtin:glyphs", "--cache", tmp_path / "cache")
    ended = cutpoint("audit", mislabelled, *network, "--review", review)
    assert ended.code == 0, ended.err
    assert f"Wrote {review}" in ended.out
    with review.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert "wrong" in lines[0]["name"], "the least likely label first"
    assert {line["corrected"] for line in lines} == {""}

    again = cutpoint("audit", mislabelled, *network, "--review", review)
    assert again.code == 2
    assert "is there already" in again.err

    lines[0]["corrected"] = lines[0]["suggested"]
    with review.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    run = ("--regime", "linear-probe", "--out", tmp_path / "run", "--json")
    ended = cutpoint("fit", mislabelled, *network, *run, "--labels", review)
    assert ended.code == 0, ended.err
    result = json.loads(ended.out)
    assert any(
        note == "labels corrected by review.csv: 1 example of train" for note in result["data"]["notes"]
    )
    (gain,) = [found for found in result["audit"]["findings"] if found["code"] == "label-correction-gain"]
    assert gain["text"].startswith("1 corrected label")

    review.write_text("name,corrected\nabsent.png,level\n", encoding="utf-8")
    ended = cutpoint("fit", mislabelled, *network, *run, "--labels", review)
    assert ended.code == 2
    assert "line 2: the data have no example called absent.png" in ended.err


def test_a_review_needs_features(cutpoint, mislabelled: Path, tmp_path: Path) -> None:
    ended = cutpoint("audit", mislabelled, "--review", tmp_path / "review.csv")
    assert ended.code == 2
    assert "--backbone" in ended.err
    assert not (tmp_path / "review.csv").exists()
