"""The review list: written, filled in, applied; every mistake in it is told with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutpoint.data.corrected import apply_corrections, read_corrections, write_review
from cutpoint.errors import DataError
from cutpoint.types import Dataset, LabelIssue, Task


@pytest.fixture
def data() -> Dataset:
    return Dataset(
        source="made",
        modality="features",
        task=Task(kind="multiclass", labels=("cat", "dog", "fox")),
        inputs=np.zeros((15, 2)),
        targets=np.arange(15) % 3,
        splits={"train": np.arange(9), "val": np.arange(9, 12), "test": np.arange(12, 15)},
        keys=tuple(map(str, range(15))),
        names=tuple(f"row {row}, as given" for row in range(15)),
    )


def _list(folder: Path, *lines: str, header: str = "name,given,corrected") -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def test_written_list_is_read_back_and_blank_lines_change_nothing(data: Dataset, tmp_path: Path) -> None:
    issues = [
        LabelIssue(name=data.names[row], given="cat", suggested="dog", p_given=0.01, p_suggested=0.9)
        for row in (0, 3)
    ]
    path = tmp_path / "labels.csv"
    write_review(issues, path)
    assert path.read_text(encoding="utf-8").splitlines()[1] == '"row 0, as given",cat,dog,0.0100,0.9000,'
    assert read_corrections(path) == ()
    same = apply_corrections(data, path)
    assert same.given_targets is None
    assert same.notes == ("labels corrected by labels.csv: none",)


def test_list_is_never_overwritten(tmp_path: Path) -> None:
    path = _list(tmp_path, "mine,cat,dog")
    with pytest.raises(DataError, match="is there already"):
        write_review([], path)
    assert "mine,cat,dog" in path.read_text(encoding="utf-8")


def test_corrections_reach_every_split_and_are_noted(data: Dataset, tmp_path: Path) -> None:
    lines = (
        '"row 0, as given",cat,',
        '"row 3, as given",cat,dog',
        '"row 9, as given",,fox',
        '"row 12, as given",cat,fox',
    )
    found = apply_corrections(data, _list(tmp_path, *lines))
    assert found.targets.tolist() == [0, 1, 2, 1, 1, 2, 0, 1, 2, 2, 1, 2, 2, 1, 2]
    assert found.given_targets is data.targets
    assert data.targets[3] == 0, "the given data stay as they are"
    (note,) = found.notes
    assert "1 example of train, 1 example of val, 1 example of test" in note
    assert "cannot be compared" in note


def test_a_list_may_be_applied_to_data_that_are_corrected_already(data: Dataset, tmp_path: Path) -> None:
    found = apply_corrections(data, _list(tmp_path, '"row 1, as given",cat,dog'))
    assert found.given_targets is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("row 99,cat,dog", "line 3: the data have no example called row 99"),
        ('"row 3, as given",cat,wolf', "line 3: the data have no class “wolf”"),
        ('"row 3, as given",dog,fox', "line 3: row 3, as given was given “dog”.*is “cat”"),
        (
            '"row 0, as given",cat,fox',
            "line 3: row 0, as given is corrected to “fox”, and in line 2 to “dog”",
        ),
    ],
)
def test_mistakes_are_told_with_their_line(data: Dataset, tmp_path: Path, line: str, message: str) -> None:
    path = _list(tmp_path, '"row 0, as given",cat,dog', line)
    with pytest.raises(DataError, match=message) as caught:
        apply_corrections(data, path)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_files_that_are_no_list_are_told(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column corrected"):
        read_corrections(_list(tmp_path, "a,b", header="name,label"))
    with pytest.raises(DataError, match="cannot be read"):
        read_corrections(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="cannot be written"):
        write_review([], tmp_path / "absent" / "labels.csv")


def test_a_class_cannot_be_corrected_away(data: Dataset, tmp_path: Path) -> None:
    lines = ('"row 0, as given",cat,dog', '"row 3, as given",cat,dog')
    with pytest.raises(DataError, match="too few examples"):
        apply_corrections(data, _list(tmp_path, *lines))


def test_other_tasks_are_refused(data: Dataset, tmp_path: Path) -> None:
    values = Dataset(**{**vars(data), "task": Task(kind="regression", metric="r2"), "targets": np.zeros(15)})
    with pytest.raises(DataError, match="regression task cannot be corrected"):
        apply_corrections(values, _list(tmp_path, '"row 0, as given",cat,dog'))
