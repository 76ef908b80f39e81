"""Raw tables: which columns become numbers, and how new tables are read as the training table was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_wine

from cutpoint.backbones.vectors import vector_backbone
from cutpoint.data import load_dataset, load_known
from cutpoint.data.collected import Collected
from cutpoint.data.numbers import MOST_CATEGORIES, encoded, row_as_numbers, table_as_numbers
from cutpoint.data.table import read_table
from cutpoint.errors import DataError
from cutpoint.types import Dataset, TableColumn


def write(folder: Path, header: str, rows: list[str], name: str = "table.csv") -> Path:
    file = folder / name
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def homes(count: int = 40) -> list[str]:
    """A number, a number with blanks, a category, a date, a running number and a name, with a label."""
    towns = ("Rome", "Oslo", "Bern")
    return [
        f"{n},{n / 2},{'' if n % 5 == 0 else 100 + n},{towns[n % 3]},2024-01-{n % 28 + 1:02},Flat {n} B,{'ab'[n % 2]}"
        for n in range(count)
    ]


HEADER = "id,size,rent,town,built,name,label"


def named(dataset: Dataset) -> dict[str, TableColumn]:
    return {column.name: column for column in dataset.columns}


def test_numbers_blanks_and_categories(tmp_path: Path) -> None:
    data = load_dataset(write(tmp_path, HEADER, homes()))
    assert data.modality == "features" and data.task.kind == "binary"
    columns = named(data)
    assert list(columns) == ["size", "rent", "town"]
    assert columns["rent"].has_blanks and not columns["size"].has_blanks
    assert columns["town"].categories == ("Bern", "Oslo", "Rome")
    matrix = np.asarray(data.inputs)
    assert matrix.shape == (40, 6) and matrix.dtype == np.float32 and np.isfinite(matrix).all()
    numbers = np.arange(40)
    assert np.array_equal(matrix[:, 0], numbers / 2)
    assert np.array_equal(matrix[:, 2], numbers % 5 == 0)
    assert np.array_equal(matrix[:, 3:].argmax(1), np.array([2, 1, 0])[numbers % 3])
    told = " ".join(data.notes)
    assert "numbers in size, rent, categories in town; labels in “label”" in told
    for reason in ("id (it numbers the rows)", "built (dates", "name (nearly every row"):
        assert f"columns that are not used: {reason}" in told


def test_what_stands_for_a_blank_is_the_median_of_the_training_rows(tmp_path: Path) -> None:
    data = load_dataset(write(tmp_path, HEADER, homes()))
    train = data.splits["train"]
    values = 100.0 + train[train % 5 != 0]
    assert named(data)["rent"].filling == np.median(values) != np.median(100.0 + np.arange(40))
    blank = np.flatnonzero(np.arange(40) % 5 == 0)
    assert np.array_equal(np.unique(np.asarray(data.inputs)[blank, 1]), [np.median(values)])


def test_a_category_of_the_test_rows_alone_has_no_column(tmp_path: Path) -> None:
    rows = [
        f"{n},{'new' if n >= 30 else 'xy'[n % 2]},{'ab'[n % 3 == 0]},{'test' if n >= 30 else 'train'}"
        for n in range(40)
    ]
    data = load_dataset(write(tmp_path, "size,kind,label,split", rows))
    assert named(data)["kind"].categories == ("x", "y")
    matrix = np.asarray(data.inputs)
    assert not matrix[30:, 1:].any() and (matrix[:30, 1:].sum(1) == 1).all()


def test_new_tables_are_read_by_name_in_any_order(tmp_path: Path) -> None:
    data = load_dataset(write(tmp_path, HEADER, homes()))
    other = ["Bern,extra,,3", "Lund,extra,200,4.5"]
    table = read_table(write(tmp_path, "town,unknown,rent,size", other, "new.csv"), "new.csv")
    filling = named(data)["rent"].filling
    expected = [[3, filling, 1, 1, 0, 0], [4.5, 200, 0, 0, 0, 0]]
    assert np.array_equal(table_as_numbers(table, data.columns), np.array(expected, dtype=np.float32))
    prepare = vector_backbone(6, data.columns).inputs.prepare
    assert np.array_equal(prepare({"size": 3, "town": "Bern"}), expected[0])
    assert np.array_equal(prepare(np.arange(6)), np.arange(6))


def test_evaluation_reads_the_training_table_as_training_did(tmp_path: Path) -> None:
    file = write(tmp_path, HEADER, homes())
    data = load_dataset(file)
    again = load_known(file, data.task, columns=data.columns)
    assert np.array_equal(again.inputs, data.inputs) and np.array_equal(again.targets, data.targets)


def test_mistakes_in_new_tables(tmp_path: Path) -> None:
    columns = load_dataset(write(tmp_path, HEADER, homes())).columns
    with pytest.raises(DataError, match="lacks columns that the model was trained on: rent"):
        table_as_numbers(read_table(write(tmp_path, "size,town", ["1,Rome"], "a.csv"), "a.csv"), columns)
    wrong = read_table(write(tmp_path, "size,town,rent", ["1,Rome,2", "1,Rome,much"], "b.csv"), "b.csv")
    with pytest.raises(DataError, match=r"“rent” of b\.csv holds numbers, but not in row 2 “much”"):
        table_as_numbers(wrong, columns)
    with pytest.raises(DataError, match="no column sise"):
        row_as_numbers({"sise": 3}, columns)


def test_a_stray_word_among_numbers_is_told_with_its_row(tmp_path: Path) -> None:
    rows = [f"{'unknown' if n == 6 else n},{'ab'[n % 2]}" for n in range(40)]
    with pytest.raises(DataError, match=r"“size” .* holds numbers, but not in row 7 “unknown”") as caught:
        load_dataset(write(tmp_path, "size,label", rows))
    assert "leave the cell blank" in caught.value.hint


def test_named_columns_make_a_raw_table_of_what_holds_a_text(tmp_path: Path) -> None:
    rows = [f"{n},{n * n},a flat of {n} rooms,{'ab'[n % 2]},{'xy'[n % 3 == 0]}" for n in range(40)]
    file = write(tmp_path, "size,rent,text,category,target", rows)
    assert load_dataset(file, target_column="target").modality == "text"
    numbers = load_dataset(file, input_column="size,rent", target_column="target")
    assert numbers.modality == "features" and list(named(numbers)) == ["size", "rent"]
    more = load_dataset(file, input_column="size,rent,category", target_column="target")
    assert list(named(more)) == ["size", "rent", "category"]


def test_pairs_of_short_texts_stay_texts(tmp_path: Path) -> None:
    rows = [f"a {n},b {n},{n / 7}" for n in range(40)]
    assert load_dataset(write(tmp_path, "sentence1,sentence2,score", rows)).modality == "text"


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    import datetime

    import pyarrow
    import pyarrow.parquet

    count = 40
    columns = {
        "flag": [n % 3 == 0 for n in range(count)],
        "size": [None if n == 0 else n / 3 for n in range(count)],
        "day": [datetime.date(2024, 1, 1 + n % 28) for n in range(count)],
        "label": [n % 2 for n in range(count)],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "table.parquet")
    data = load_dataset(tmp_path / "table.parquet")
    assert list(named(data)) == ["flag", "size"]
    assert np.array_equal(np.asarray(data.inputs)[:, 0], np.arange(count) % 3 == 0)


def test_most_frequent_categories_have_columns() -> None:
    values = np.concatenate([np.repeat(np.arange(60), 2), [7.0, np.nan]])[:, None]
    draft = TableColumn(name="town", kind="category", categories=tuple(f"t{n}" for n in range(60)))
    matrix, (column,) = encoded(list(values), [draft], np.arange(len(values)))
    assert matrix.shape[1] == column.width == MOST_CATEGORIES and "t7" in column.categories
    assert matrix[-2].sum() == 1 and matrix[-1].sum() == 0


def test_equal_rows_have_equal_keys_and_blank_is_not_the_median(tmp_path: Path) -> None:
    rows = [*homes(), "98,1,102,Rome,2024-01-01,Flat y,a", "99,1,102,Rome,2024-01-01,Flat z,a"]
    keys = load_dataset(write(tmp_path, HEADER, rows)).keys
    assert keys[-1] == keys[-2] and len(set(keys)) == len(keys) - 1


@pytest.mark.parametrize("name", ["sounds", "table"])
def test_sounds_of_other_formats_are_refused_in_words(tmp_path: Path, name: str) -> None:
    for label in "ab":
        (tmp_path / "sounds" / label).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "sounds" / label / f"{number}.mp3").touch()
    rows = [f"sounds/{label}/{n}.mp3,{label}" for label in "ab" for n in range(3)]
    source = tmp_path / "sounds" if name == "sounds" else write(tmp_path, "path,label", rows)
    with pytest.raises(DataError, match=r"holds sounds \(6, such as 0\.mp3\)") as caught:
        load_dataset(source)
    assert ".wav" in caught.value.hint


def test_texts_without_numbers_and_collected_rows_stay_as_they_were(tmp_path: Path) -> None:
    rows = [f"a text of {n} words,{'ab'[n % 2]}" for n in range(40)]
    data = load_dataset(write(tmp_path, "text,label", rows))
    assert data.modality == "text" and data.columns == ()
    assert Collected("x", "features", [], [], []).columns == ()


def test_a_real_table_is_read_whole(tmp_path: Path) -> None:
    wine = load_wine()
    rows = [
        ",".join([*map(str, x), wine.target_names[y]]) for x, y in zip(wine.data, wine.target, strict=True)
    ]
    data = load_dataset(write(tmp_path, ",".join([*wine.feature_names, "class"]), rows))
    assert np.array_equal(data.inputs, wine.data.astype(np.float32))
    assert data.task.labels == ("class_0", "class_1", "class_2")
