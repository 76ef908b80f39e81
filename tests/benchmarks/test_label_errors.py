"""The benchmark of wrong labels: what it plants, and how its page is written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks/ stands beside the package

from benchmarks.label_errors import PAGE, gains, planted, table

from cutpoint.types import Dataset, Task


def test_planted_labels_are_wrong_and_no_others() -> None:
    rows = np.arange(10, 60)
    clean = Dataset(
        source="here",
        modality="features",
        task=Task(kind="multiclass", labels=("a", "b", "c")),
        inputs=np.zeros((80, 1)),
        targets=np.arange(80) % 3,
        splits={"train": rows, "test": np.arange(10)},
        keys=tuple(map(str, range(80))),
        names=tuple(map(str, range(80))),
    )
    noisy, wrong = planted(clean, rows, 0.1)
    assert len(wrong) == 5 and set(wrong) <= set(rows)
    assert np.flatnonzero(noisy.targets != clean.targets).tolist() == wrong.tolist()
    assert set(noisy.targets) == {0, 1, 2}


def test_tables_have_a_row_a_share_and_a_place_on_the_page() -> None:
    audit = {
        "planted": 0.1,
        "probe": 0.731,
        "rate": [0.1, 0.05, 0.15],
        "warned": True,
        "candidates": 20,
        "precision": 0.5,
        "recall": None,
    }
    figures = [{"set": "some", "rows": 1234, "audits": [audit, dict(audit)], "gain": [0.01, -0.02, 0.04]}]
    assert table(figures).splitlines()[2:] == [
        "| some, 1 234 | 0.73 | 10 % | 0.100 (0.050–0.150) | yes | 20 | 0.50 |  |",
        "|  |  | 10 % | 0.100 (0.050–0.150) | yes | 20 | 0.50 |  |",
    ]
    assert gains(figures).splitlines()[2:] == ["| some | +0.010 | −0.020 to +0.040 |"]
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("<!-- label errors: ") == 2
