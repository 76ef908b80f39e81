"""What the demo writes; the whole of it is the slow test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def test_digits_are_written_as_they_were_scanned(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    from cutpoint.demo import PER_CLASS, write_digits

    write_digits(tmp_path)
    images, labels = load_digits(return_X_y=True)
    seen: set[int] = set()
    for split in ("train", "val", "test"):
        numbers = []
        for file in (tmp_path / split).glob("*/*.png"):
            number = int(file.stem)
            assert str(labels[number]) == file.parent.name
            ink = (255 - np.asarray(Image.open(file)).astype(float)) * 16 / 255
            assert np.abs(ink - images[number].reshape(8, 8)).max() < 0.04
            numbers.append(number)
        assert not seen & set(numbers)
        seen |= set(numbers)
        assert len(numbers) == (10 * PER_CLASS[split] if split in PER_CLASS else 899)
        assert (min(numbers) >= 898) == (split == "test")


@pytest.mark.slow
def test_demo_prices_scratch_and_predicts(cutpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTPOINT_CACHE", str(tmp_path / "cache"))
    ended = cutpoint("demo", "--out", tmp_path / "demo")
    assert ended.code == 0, ended.err
    result = json.loads((tmp_path / "demo" / "run" / "result.json").read_text())
    trials = {trial["regime"]: trial for trial in result["trials"]}
    assert trials["scratch"]["status"] == "priced" and trials["scratch"]["predicted"]["seconds"] > 0
    assert trials["linear-probe"]["validation"]["value"] > trials["image-statistics"]["validation"]["value"]
    assert result["test"]["value"] > 0.9
    said = " ".join(ended.out.split())
    assert "From scratch did not run: pretrained features are far ahead" in said
    assert "test digits" in said
