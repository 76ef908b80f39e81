"""A table of numbers through the whole product: race, model folder, predictions on new tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine

import cutpoint as cp
from cutpoint.cli.answers import Answers
from cutpoint.cli.asked import asked_of
from cutpoint.data import load_dataset
from cutpoint.heads.boosting import expected_seconds
from cutpoint.survey.raw_data import raw_data
from cutpoint.types import Result


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_steps(folder: Path, count: int = 160) -> Path:
    """A class that no line separates: one number lies in the middle of its range, but not in a certain town."""
    random = np.random.default_rng(0)
    first, second = random.uniform(0, 4, count), random.integers(0, 4, count)
    town = random.integers(0, 2, count)
    label = (first > 1) & (first < 3) & ((town == 0) | (second > 0))
    rows = [
        f"{a:.3f},{'' if n % 9 == 0 else b},{('Rome', 'Oslo')[t]},{('no', 'yes')[int(y)]}"
        for n, (a, b, t, y) in enumerate(zip(first, second, town, label, strict=True))
    ]
    file = folder / "steps.csv"
    file.write_text("\n".join(["first,second,town,label", *rows]) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("steps")
    file = write_steps(folder)
    regimes = ["linear-probe", "gradient-boosting"]
    result = cp.fit(file, regimes=regimes, out=folder / "run", cache=folder / "cache", threads=1)
    return file, result


def test_trees_win_where_thresholds_decide(steps: tuple[Path, Result]) -> None:
    _, result = steps
    probe, trees = result.trial("linear-probe"), result.trial("gradient-boosting")
    assert probe.status == trees.status == "finished"
    assert result.winner == "gradient-boosting"
    assert trees.validation is not None and probe.validation is not None
    assert trees.validation.low > probe.validation.high
    assert trees.predicted.seconds is not None and trees.predicted.seconds > 0
    assert trees.cost.stored_bytes is not None and trees.cost.stored_bytes > 1000


def test_the_model_reads_new_tables_by_name(steps: tuple[Path, Result], tmp_path: Path) -> None:
    file, result = steps
    model = cp.load(result.best)
    new = tmp_path / "new.csv"
    new.write_text("town,second,first\nRome,2,2.0\nRome,3,0.3\nOslo,,3.8\n", encoding="utf-8")
    answers = list(Answers(model, asked_of(model, [str(new)]), with_probabilities=False))
    assert [answer.prediction for answer in answers] == ["yes", "no", "no"]
    assert answers[1].name == f"{new} row 2"
    assert model.predict([{"first": 2.0, "second": 2, "town": "Rome"}]) == ["yes"]
    assert cp.evaluate(model, file).value > 0.85


def test_the_finding_counts_columns(tmp_path: Path) -> None:
    (finding,) = raw_data(load_dataset(write_steps(tmp_path)))
    assert finding.code == "raw-table" and finding.severity == "info"
    assert "2 columns of numbers (1 with blanks), 1 of categories, 5 numbers a row" in finding.evidence
    features, targets = load_wine(return_X_y=True)
    assert raw_data(load_dataset(features, targets=targets)) == []


def test_expected_seconds_grow_with_rows_columns_and_classes() -> None:
    base = expected_seconds(1000, 10, 2)
    assert base < expected_seconds(10_000, 10, 2) < expected_seconds(10_000, 100, 2)
    assert expected_seconds(1000, 10, 4) == 2 * base
