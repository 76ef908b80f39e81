"""Tables: columns named or inferred, splits and groups given, and files that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from cutpoint.data import load_dataset, summarise
from cutpoint.errors import DataError


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Twelve images in a subfolder; their paths relative to the table."""
    random = np.random.default_rng(0)
    (tmp_path / "img").mkdir()
    names = [f"img/{number}.png" for number in range(12)]
    for name in names:
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / name)
    return names


def _csv(folder: Path, rows: list[str], name: str = "data.csv") -> Path:
    (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / name


def test_columns_are_inferred_and_paths_are_relative_to_the_table(
    tmp_path: Path, pictures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    file = _csv(tmp_path, ["id,where,label", *(f"{n},{p},{'ab'[n % 2]}" for n, p in enumerate(pictures))])
    data = load_dataset(file)
    assert data.task.labels == ("a", "b")
    assert data.names == tuple(pictures)
    assert data.inputs[0] == str(tmp_path / "img" / "0.png")
    assert data.notes[0] == "images are in the column “where”, labels in “label”"
    assert data.test_origin == "held out"
    assert (data.targets == np.arange(12) % 2).all()


@pytest.mark.parametrize("kind", ["csv", "semicolons", "tsv", "parquet", "jsonl"])
def test_every_format_reads_the_same(tmp_path: Path, pictures: list[str], kind: str) -> None:
    labels = ["01", "2", "10"] * 4
    columns = {"path": pictures, "label": labels}
    rows = list(zip(pictures, labels, strict=True))
    if kind == "parquet":
        file = tmp_path / "data.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
    elif kind == "jsonl":
        file = _csv(tmp_path, [json.dumps({"path": p, "label": v}) for p, v in rows], "data.jsonl")
    else:
        mark = {"csv": ",", "semicolons": ";", "tsv": "\t"}[kind]
        ending = "tsv" if kind == "tsv" else "csv"
        file = _csv(
            tmp_path, [f"\ufeffpath{mark}label", *(f"{p}{mark}{v}" for p, v in rows)], f"data.{ending}"
        )
    data = load_dataset(file)
    assert data.task.labels == ("01", "2", "10")
    assert data.names == tuple(pictures)


def test_named_columns_win(tmp_path: Path, pictures: list[str]) -> None:
    rows = [f"{p},{pictures[0]},{'xy'[n % 2]},{'uvw'[n % 3]}" for n, p in enumerate(pictures)]
    file = _csv(tmp_path, ["right,path,label,other", *rows])
    data = load_dataset(file, input_column="right", target_column="other")
    assert data.names == tuple(pictures)
    assert data.task.labels == ("u", "v", "w")


def test_a_split_column_is_kept(tmp_path: Path, pictures: list[str]) -> None:
    splits = ["train"] * 6 + ["Validation"] * 2 + ["test"] * 4
    rows = [f"{p},{'ab'[n % 2]},{splits[n]}" for n, p in enumerate(pictures)]
    data = load_dataset(_csv(tmp_path, ["path,label,split", *rows]))
    assert data.test_origin == "given"
    assert {name: rows.tolist() for name, rows in data.splits.items()} == {
        "train": [0, 1, 2, 3, 4, 5],
        "val": [6, 7],
        "test": [8, 9, 10, 11],
    }
    rows[3] = rows[3].replace("train", "tran")
    with pytest.raises(DataError, match=r"column “split”.*holds tran"):
        load_dataset(_csv(tmp_path, ["path,label,split", *rows]))


def test_a_group_column(tmp_path: Path, pictures: list[str]) -> None:
    rows = [f"{p},{'ab'[n % 2]},{n // 3}" for n, p in enumerate(pictures)]
    file = _csv(tmp_path, ["path,label,patient", *rows])
    data = load_dataset(file, group="patient", test_fraction=0.25)
    assert data.groups is not None
    assert len(data.splits["test"]) == 3
    assert len(set(data.groups[data.splits["test"]])) == 1
    by_pattern = load_dataset(file, target_column="label", group=r"(\d)\.png")
    assert by_pattern.groups is not None
    assert by_pattern.groups[0] == "0"
    rows[4] = rows[4][:-1]
    with pytest.raises(DataError, match="group column “patient” is blank in row 5"):
        load_dataset(_csv(tmp_path, ["path,label,patient", *rows]), group="patient")


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["red|small", "red", "small|old", "old"], ("old", "red", "small")),
        (["red; small", "red", "small; old", "old"], ("old", "red", "small")),
        (['"[""red"", ""small""]"', "[]", '"[""old""]"', "[red]"], ("old", "red", "small")),
    ],
)
def test_multilabel_cells(
    tmp_path: Path, pictures: list[str], cells: list[str], labels: tuple[str, ...]
) -> None:
    rows = [f"{p},{cells[n % 4]}" for n, p in enumerate(pictures)]
    data = load_dataset(_csv(tmp_path, ["path,label", *rows]))
    assert data.task.kind == "multilabel"
    assert data.task.metric == "f1_micro"
    assert data.task.labels == labels
    assert data.targets.dtype == np.float32
    assert data.targets[0].tolist() == [0.0, 1.0, 1.0]


def test_lists_in_json_lines(tmp_path: Path, pictures: list[str]) -> None:
    tags = [["a"], ["a", "b"], []]
    lines = [json.dumps({"file_name": p, "tags": tags[n % 3]}) for n, p in enumerate(pictures)]
    data = load_dataset(_csv(tmp_path, lines, "metadata.jsonl"))
    assert data.task.labels == ("a", "b")
    assert data.targets[:3].tolist() == [[1, 0], [1, 1], [0, 0]]
    assert summarise(data).class_counts["train"].keys() == {"a", "b"}


def test_reals_are_regression(tmp_path: Path, pictures: list[str]) -> None:
    data = load_dataset(_csv(tmp_path, ["path,age", *(f"{p},{n / 2}" for n, p in enumerate(pictures))]))
    assert data.task.kind == "regression"
    assert data.task.metric == "r2"
    assert data.targets.dtype == np.float32
    assert data.targets.tolist() == [n / 2 for n in range(12)]
    assert summarise(data).class_counts == {}
    with pytest.raises(DataError, match="task is regression"):
        load_dataset(data.source, per_class=2)


def test_missing_files_are_set_aside(tmp_path: Path, pictures: list[str]) -> None:
    rows = [f"{p},{'ab'[n % 2]}" for n, p in enumerate(pictures)]
    file = _csv(tmp_path, ["path,label", *rows, "img/gone.png,a", ",b"])
    data = load_dataset(file, max_unreadable=0.2)
    assert [(item.name, item.reason) for item in data.quarantined] == [
        ("img/gone.png", "does not exist"),
        ("row 14", "no path is given"),
    ]


@pytest.mark.parametrize("blank", ["", "  ", "nan", "NaN"])
def test_blank_labels_are_listed(tmp_path: Path, pictures: list[str], blank: str) -> None:
    rows = [f"{p},{'ab'[n % 2] if n != 7 else blank}" for n, p in enumerate(pictures)]
    with pytest.raises(DataError, match=r"examples without a label, 1 of 12: img/7\.png"):
        load_dataset(_csv(tmp_path, ["path,label", *rows]))


def test_blank_and_infinite_targets_of_other_formats(tmp_path: Path, pictures: list[str]) -> None:
    file = tmp_path / "data.parquet"
    targets = [float(n) / 3 for n in range(12)]
    for wrong in (float("nan"), float("inf"), None):
        pyarrow.parquet.write_table(pyarrow.table({"path": pictures, "y": [*targets[:11], wrong]}), file)
        with pytest.raises(DataError, match=r"examples without a label, 1 of 12: img/11\.png"):
            load_dataset(file)


def test_tables_that_cannot_be_used(tmp_path: Path, pictures: list[str]) -> None:
    rows = [f"{p},{n}.name,{'ab'[n % 2]}" for n, p in enumerate(pictures)]
    file = _csv(tmp_path, ["path,one,two", *rows])
    with pytest.raises(DataError, match=r"label column of .* cannot be told") as caught:
        load_dataset(file)
    assert "path, one, two" in caught.value.hint
    with pytest.raises(DataError, match="no column “label”"):
        load_dataset(file, target_column="label")
    with pytest.raises(DataError, match="no column “file”"):
        load_dataset(file, input_column="file")
    with pytest.raises(DataError, match="both the input and the target"):
        load_dataset(file, input_column="path", target_column="path")
    with pytest.raises(DataError, match="every one of the 12 examples has a label of its own"):
        load_dataset(file, target_column="one")
    with pytest.raises(DataError, match=r"these labels are no finite numbers: .*0\.name"):
        load_dataset(file, target_column="one", task="regression")
    with pytest.raises(DataError, match="names of the columns"):
        load_dataset(_csv(tmp_path, rows))
    with pytest.raises(DataError, match="several columns called two"):
        load_dataset(_csv(tmp_path, ["path,two,two", *rows]))
    with pytest.raises(DataError, match=r"no column of .* is known to hold texts"):
        load_dataset(_csv(tmp_path, ["day,label", "monday,a", "tuesday,b"]))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match=r"empty\.csv is empty"):
        load_dataset(tmp_path / "empty.csv")
    with pytest.raises(DataError, match="holds no rows"):
        load_dataset(_csv(tmp_path, ["path,label"]))
    with pytest.raises(DataError, match="cannot be read as CSV"):
        load_dataset(_csv(tmp_path, ["path,label", "a.png,x", "b.png,x,y"]))
    for name in ("data.parquet", "data.jsonl"):
        with pytest.raises(DataError, match="cannot be read as"):
            load_dataset(_csv(tmp_path, ["no such thing {"], name))
    (tmp_path / "latin.csv").write_bytes("path,läbel\na.png,ä\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"cannot be read as CSV: byte 7 of line 1 \(0xE4\)") as caught:
        load_dataset(tmp_path / "latin.csv")
    assert "iconv -f WINDOWS-1252 -t UTF-8 latin.csv" in caught.value.hint
