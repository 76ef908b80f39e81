"""Texts and pairs with labels: tables, folders of split tables, folders of .txt files, and what is wrong with them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from cutpoint.data import content_hash, load_dataset, load_known, summarise
from cutpoint.data.inspect_texts import text_key
from cutpoint.errors import DataError
from cutpoint.types import Completion, TextPair, Words

_TEXTS = [f"{'good' if number % 2 else 'bad'} thing, number {number}" for number in range(12)]
_LABELS = ["yes" if number % 2 else "no" for number in range(12)]


def _write(file: Path, columns: dict[str, list[Any]]) -> Path:
    """The columns in the format of the file's ending."""
    rows = list(zip(*columns.values(), strict=True))
    if file.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
    elif file.suffix == ".jsonl":
        file.write_text("\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in rows))
    else:
        with file.open("w", newline="") as stream:
            writer = csv.writer(stream, delimiter="\t" if file.suffix == ".tsv" else ",")
            writer.writerows([list(columns), *rows])
    return file


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl"])
def test_every_format_reads_the_same(tmp_path: Path, ending: str) -> None:
    data = load_dataset(_write(tmp_path / f"data.{ending}", {"text": _TEXTS, "label": _LABELS}))
    assert data.modality == "text"
    assert data.task.kind == "binary"
    assert data.task.labels == ("no", "yes")
    assert list(data.inputs) == _TEXTS
    assert data.names[:2] == ("row 1", "row 2")
    assert data.notes[0] == "texts are in the column “text”, labels in “label”"
    assert len(set(data.keys)) == 12
    assert sum(len(rows) for rows in data.splits.values()) == 12
    assert summarise(data).class_counts["train"] == {"no": 5, "yes": 5}


def test_columns_are_named_or_inferred(tmp_path: Path) -> None:
    columns = {"id": list(range(12)), "what": _TEXTS, "opinion": _LABELS}
    file = _write(tmp_path / "data.csv", columns)
    with pytest.raises(DataError, match=r"label column of .* cannot be told"):
        load_dataset(file)
    for named in (load_dataset(file, target_column="opinion"), load_dataset(file, **_columns("what"))):
        assert list(named.inputs) == _TEXTS
    # Numbers beside the text are never taken for it, and usual names win over other sentences.
    columns = {"remark": _TEXTS[::-1], "Review": _TEXTS, "Label": _LABELS}
    assert list(load_dataset(_write(tmp_path / "data.csv", columns)).inputs) == _TEXTS


def _columns(text: str) -> dict[str, str]:
    return {"input_column": text, "target_column": "opinion"}


@pytest.mark.parametrize(
    "names",
    [("text_a", "text_b"), ("premise", "hypothesis"), ("Sentence1", "Sentence2"), ("question", "answer")],
)
def test_pairs_are_inferred(tmp_path: Path, names: tuple[str, str]) -> None:
    scores = [number / 4 for number in range(12)]
    columns = {names[0]: _TEXTS, "text": _LABELS, names[1]: _TEXTS[::-1], "label": scores}
    data = load_dataset(_write(tmp_path / "data.csv", columns))
    assert data.task.kind == "regression"
    assert data.inputs[0] == TextPair(_TEXTS[0], _TEXTS[-1])
    assert data.notes[0] == f"texts are pairs of the columns “{names[0]}” and “{names[1]}”, labels in “label”"
    assert len(set(data.keys)) == 12


def test_pairs_are_named(tmp_path: Path) -> None:
    columns = {"left": _TEXTS, "right, upper": _TEXTS[::-1], "third": _TEXTS, "label": _LABELS}
    file = _write(tmp_path / "data.csv", columns)
    assert load_dataset(file, input_column="third, left").inputs[0] == TextPair(_TEXTS[0], _TEXTS[0])
    # A name with a comma of its own is one column.
    assert load_dataset(file, input_column="right, upper").inputs[0] == _TEXTS[-1]
    with pytest.raises(DataError, match="3 columns are to be the input"):
        load_dataset(file, input_column="left,third,label")
    with pytest.raises(DataError, match="no column “lost”"):
        load_dataset(file, input_column="left,lost")


def test_multilabel_and_blank_labels(tmp_path: Path) -> None:
    file = _write(tmp_path / "data.csv", {"text": _TEXTS, "label": ["a|b", "b", "a"] * 4})
    data = load_dataset(file)
    assert (data.task.kind, data.task.labels) == ("multilabel", ("a", "b"))
    with pytest.raises(DataError, match=r"without a label, 1 of 12: row 7"):
        load_dataset(_write(file, {"text": _TEXTS, "label": [*_LABELS[:6], "", *_LABELS[7:]]}))


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_folder_of_split_tables_is_one_data_set(tmp_path: Path, ending: str) -> None:
    parts = {"train": slice(0, 6), "dev": slice(6, 8), "test": slice(8, 12)}
    for name, part in parts.items():
        _write(tmp_path / f"{name}.{ending}", {"text": _TEXTS[part], "label": _LABELS[part]})
    (tmp_path / "README.txt").write_text("not data")
    data = load_dataset(tmp_path)
    assert {name: rows.tolist() for name, rows in data.splits.items()} == {
        "train": list(range(6)),
        "val": [6, 7],
        "test": [8, 9, 10, 11],
    }
    assert data.test_origin == "given"
    assert data.names[0] == f"train.{ending} row 1"
    assert data.names[8] == f"test.{ending} row 1"
    known = load_known(tmp_path, data.task)
    assert known.splits.keys() == {"train", "val", "test"}
    (tmp_path / f"train.{ending}").unlink()
    with pytest.raises(DataError, match="no training examples, only val, test"):
        load_dataset(tmp_path)
    assert load_known(tmp_path, data.task).splits.keys() == {"val", "test"}


def test_split_tables_that_do_not_fit(tmp_path: Path) -> None:
    _write(tmp_path / "train.csv", {"text": _TEXTS, "label": _LABELS})
    _write(tmp_path / "test.csv", {"text": _TEXTS[:3]})
    with pytest.raises(DataError, match=r"without a label, 3 of 15: test\.csv row 1"):
        load_dataset(tmp_path)
    _write(tmp_path / "test.csv", {"text": _TEXTS[:3], "label": _LABELS[:3]})
    assert summarise(load_dataset(tmp_path)).rows == {"train": 12, "test": 3}
    _write(tmp_path / "training.jsonl", {"text": _TEXTS, "label": _LABELS})
    with pytest.raises(DataError, match=r"its train split: train\.csv, training\.jsonl"):
        load_dataset(tmp_path)


def test_split_tables_of_images_and_class_folders_beside_tables(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(12):
        for folder in ("images", "classes/no", "classes/yes"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            picture.save(tmp_path / folder / f"{number}.png")
    paths = [f"images/{number}.png" for number in range(12)]
    for name in ("train", "test"):
        _write(tmp_path / f"{name}.csv", {"path": paths, "label": _LABELS})
    (tmp_path / "classes").rename(tmp_path.parent / f"{tmp_path.name}-classes")
    data = load_dataset(tmp_path)
    assert data.modality == "image"
    assert data.inputs[0] == str(tmp_path / "images" / "0.png")
    assert [len(rows) for rows in data.splits.values()] == [12, 12]
    # Beside folders of classes, a table called train is a mere list of them.
    classes = tmp_path.parent / f"{tmp_path.name}-classes"
    _write(classes / "train.csv", {"path": paths, "label": _LABELS})
    assert len(load_dataset(classes)) == 24


def test_folders_of_texts(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for number, (text, label) in enumerate(zip(_TEXTS, _LABELS, strict=True)):
            (tmp_path / split / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / split / label / f"{number}.txt").write_text(
                f"{split}: {text}\r\n", encoding="utf-8-sig"
            )
    (tmp_path / "train" / "no" / "notes.md").write_text("not data")
    data = load_dataset(tmp_path)
    assert data.modality == "text"
    assert data.task.labels == ("no", "yes")
    assert data.names[0] == "test/no/0.txt"
    assert data.inputs[0] == f"test: {_TEXTS[0]}\n"
    assert [len(rows) for rows in data.splits.values()] == [12, 12]
    assert "files ignored because they are no texts: 1" in data.notes
    assert len(load_dataset(tmp_path / "train", group=r"(\d+)\.txt", test_fraction=0.3).splits["test"]) >= 2
    (tmp_path / "train" / "no" / "2.txt").write_text(" \n")
    (tmp_path / "train" / "yes" / "3.txt").write_bytes("schön".encode("latin-1"))
    with pytest.raises(DataError, match=r"yes/3\.txt cannot be read as TXT: byte 4 of line 1 \(0xF6\)"):
        load_dataset(tmp_path)
    (tmp_path / "train" / "yes" / "3.txt").unlink()
    found = load_dataset(tmp_path).quarantined
    assert [(item.name, item.reason) for item in found] == [("train/no/2.txt", "empty text")]


def test_empty_texts_are_set_aside(tmp_path: Path) -> None:
    texts = _TEXTS * 4
    texts[3], texts[7] = "", " \t "
    file = _write(tmp_path / "data.csv", {"text": texts, "label": _LABELS * 4})
    data = load_dataset(file)
    assert [(item.name, item.reason) for item in data.quarantined] == [
        ("row 4", "empty text"),
        ("row 8", "empty text"),
    ]
    assert len(data) == len(data.targets) == 46
    with pytest.raises(DataError, match=r"2 of 48 texts cannot be read, more than 1 %: row 4 \(empty text\)"):
        load_dataset(file, max_unreadable=0.01)
    with pytest.raises(DataError, match="no text can be read"):
        load_dataset(_write(file, {"text": [""] * 4, "label": ["a", "b"] * 2}))
    pairs = {"text_a": texts, "text_b": [*texts[:5], " ", *texts[6:]], "label": _LABELS * 4}
    assert [item.name for item in load_dataset(_write(file, pairs), max_unreadable=0.1).quarantined] == [
        *("row 4", "row 6", "row 8")
    ]


def test_labels_and_splits_that_vanish_with_empty_texts(tmp_path: Path) -> None:
    columns = {"text": [*_TEXTS, " "], "label": [*_LABELS, "maybe"]}
    data = load_dataset(_write(tmp_path / "data.csv", columns), max_unreadable=0.1)
    assert "labels that vanish because none of their texts can be read: maybe" in data.notes
    columns["split"] = ["train"] * 12 + ["test"]
    with pytest.raises(DataError, match="none of the test texts can be read"):
        load_dataset(_write(tmp_path / "data.csv", columns), max_unreadable=0.1)


def test_repeated_damaged_and_broken_texts(tmp_path: Path) -> None:
    texts = [*_TEXTS[:8], "", "", _TEXTS[0], "na\ufffdve thing"]
    file = _write(tmp_path / "data.jsonl", {"text": texts, "label": _LABELS})
    notes = load_dataset(file, max_unreadable=0.2).notes
    assert "rows whose text an earlier row has as well: 1" in notes
    assert "texts with a character that was lost in an earlier conversion (\ufffd): 1" in notes
    texts[5] = "half an emoji \ud83d"
    data = load_dataset(_write(file, {"text": texts, "label": _LABELS}), max_unreadable=0.3)
    assert data.quarantined[0].name == "row 6"
    assert "lone surrogate" in data.quarantined[0].reason


def test_groups_and_few_per_class(tmp_path: Path) -> None:
    columns = {"text": _TEXTS, "label": _LABELS, "writer": [number // 3 for number in range(12)]}
    file = _write(tmp_path / "data.csv", columns)
    grouped = load_dataset(file, group="writer", test_fraction=0.25)
    assert grouped.groups is not None
    assert len(set(grouped.groups[grouped.splits["test"]])) == 1
    few = load_dataset(file, target_column="label", per_class=2)
    assert len(few.splits["train"]) == 4
    assert few.inputs[0] == _TEXTS[int(few.names[0].split()[1]) - 1]
    assert content_hash(few) != content_hash(load_dataset(file, target_column="label", per_class=2, seed=1))


def test_encodings(tmp_path: Path) -> None:
    rows = "\n".join(f"{text},{label}" for text, label in zip(_LABELS, _LABELS, strict=True))
    file = tmp_path / "data.csv"
    file.write_bytes(f"text,label\n{rows}\nschön,yes\n".encode("latin-1"))
    with pytest.raises(
        DataError, match=r"data\.csv cannot be read as CSV: byte 4 of line 14 \(0xF6\)"
    ) as caught:
        load_dataset(file)
    assert "iconv -f WINDOWS-1252 -t UTF-8 data.csv > utf8-data.csv" in caught.value.hint
    file.write_bytes(f"text,label\n{rows}\n".encode("utf-16"))
    with pytest.raises(DataError, match="is not UTF-8") as caught:
        load_dataset(file)
    assert "iconv -f UTF-16" in caught.value.hint
    lines = tmp_path / "data.jsonl"
    lines.write_bytes(b'{"text": "a", "label": "x"}\n{"text": "\xe9", "label": "y"}\n')
    with pytest.raises(DataError, match=r"cannot be read as JSONL: byte 11 of line 2 \(0xE9\)"):
        load_dataset(lines)
    lines.write_bytes(b'{"text": "\x81\xff", "label": "y"}\n')
    with pytest.raises(DataError, match="byte 11 of line 1") as caught:
        load_dataset(lines)
    assert "damaged" in caught.value.hint


def test_quotation_marks_in_tab_separated_texts_swallow_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "data.tsv"
    lines = [f"{text}\t{label}" for text, label in zip(_TEXTS, _LABELS, strict=True)]
    lines[2], lines[4] = f'"{lines[2]}', f'7" {lines[4]}'
    lines[6] = f'so-called "{lines[6]}'
    file.write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    data = load_dataset(file)
    assert len(data) == 12
    assert data.inputs[2] == f'"{_TEXTS[2]}'


def test_a_text_longer_than_the_block_of_the_parser(tmp_path: Path) -> None:
    texts = ["word " * 600_000, *_TEXTS[1:]]
    data = load_dataset(_write(tmp_path / "data.csv", {"text": texts, "label": _LABELS}))
    assert len(data.inputs[0]) == 3_000_000


def test_keys_tell_kinds_of_texts_apart() -> None:
    texts = ["a", "a b", TextPair("a", "b"), TextPair("a b", ""), Words(("a", "b")), Completion("a", "b")]
    assert len({text_key(text) for text in texts}) == len(texts)
    assert text_key(TextPair("a", "b")) == text_key(texts[2])


def test_json_lines_keep_what_they_hold(tmp_path: Path) -> None:
    file = tmp_path / "data.jsonl"
    rows = [{"text": f"2024-01-{n + 10}", "label": n % 2} for n in range(12)]
    file.write_text("\n\n".join(json.dumps(row) for row in rows))
    assert load_dataset(file).inputs[0] == "2024-01-10"
    for fault, message in {
        '["a"]': "line 3 is no object",
        '{"text": ': "line 3: Expecting value",
    }.items():
        file.write_text(f"{json.dumps(rows[0])}\n\n{fault}\n")
        with pytest.raises(DataError, match=message):
            load_dataset(file)


def test_addresses_of_pictures_beside_a_text(tmp_path: Path) -> None:
    addresses = [f"https://example.org/{number}.jpg" for number in range(12)]
    columns = {"picture": addresses, "text": _TEXTS, "label": _LABELS}
    assert list(load_dataset(_write(tmp_path / "data.csv", columns)).inputs) == _TEXTS


def test_columns_that_are_not_used_are_named(tmp_path: Path) -> None:
    columns = {"text": _TEXTS, "title": _LABELS, "id": _TEXTS, "split": _LABELS, "label": _LABELS}
    columns["split"] = ["train", "train", "test"] * 4
    notes = load_dataset(_write(tmp_path / "data.csv", columns), group="id").notes
    assert "columns that are not used: title" in notes
    alpaca = {"instruction": ["Tell"] * 12, "input": _TEXTS, "output": _LABELS}
    notes = load_dataset(_write(tmp_path / "data.csv", alpaca), task="language").notes
    assert "columns that are not used: instruction, output" in notes


def test_tables_of_texts_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"first row of .* holds data"):
        load_dataset(_write(tmp_path / "data.csv", {_TEXTS[0]: _TEXTS[1:], "yes": _LABELS[1:]}))
    columns = {"one": _TEXTS, "two": _TEXTS, "label": _LABELS}
    with pytest.raises(DataError, match=r"no column of .* is known to hold texts"):
        load_dataset(_write(tmp_path / "data.csv", columns))
    numbers = {"text": list(range(12)), "label": _LABELS}
    with pytest.raises(DataError, match=r"column “text” of .* holds int values, not texts, in row 1"):
        load_dataset(_write(tmp_path / "data.parquet", numbers))
    with pytest.raises(DataError, match=r"no column of labels beside text") as caught:
        load_dataset(_write(tmp_path / "data.csv", {"text": _TEXTS}))
    assert "--task language" in caught.value.hint
    file = _write(tmp_path / "data.csv", {"text": _TEXTS, "label": _LABELS})
    with pytest.raises(DataError, match="known to hold lists of words"):
        load_dataset(file, task="tagging")
    data = load_dataset(file)
    with pytest.raises(DataError, match="labels that the model does not know: perhaps"):
        load_known(_write(file, {"text": _TEXTS[:2], "label": ["yes", "perhaps"]}), data.task)


def test_lists_of_texts() -> None:
    data = load_dataset(_TEXTS, targets=_LABELS)
    assert (data.modality, data.source, data.names[0]) == ("text", "texts in memory", "row 0")
    assert list(data.inputs) == _TEXTS
    same = load_dataset(np.array(_TEXTS, dtype=object), targets=np.array(_LABELS))
    assert content_hash(same) == content_hash(data)
    assert type(load_dataset(np.array(_TEXTS), targets=_LABELS).inputs[0]) is str
    for rows in ([(text, "b") for text in _TEXTS], [[text, "b"] for text in _TEXTS]):
        pairs = load_dataset(rows, targets=np.linspace(0, 1, 12))
        assert pairs.inputs[1] == TextPair(_TEXTS[1], "b")
        assert pairs.task.kind == "regression"
    gap = load_dataset([*_TEXTS, None], targets=[*_LABELS, "no"], max_unreadable=0.1)
    assert [(item.name, item.reason) for item in gap.quarantined] == [("row 12", "empty text")]
    assert load_known(_TEXTS[:1], data.task, targets=["yes"]).targets.tolist() == [1]


def test_lists_of_texts_that_cannot_be_used() -> None:
    with pytest.raises(DataError, match="texts in memory but no targets") as caught:
        load_dataset(_TEXTS)
    assert "task='language'" in caught.value.hint
    with pytest.raises(DataError, match="12 inputs but 11 targets"):
        load_dataset(_TEXTS, targets=_LABELS[1:])
    with pytest.raises(DataError, match="different kinds: TextPair, str"):
        load_dataset([*_TEXTS[1:], ("a", "b")], targets=_LABELS)
    with pytest.raises(DataError, match="row 11 is a list of 3 texts"):
        load_dataset([*_TEXTS[1:], ("a", "b", "c")], targets=_LABELS)
    # Strings that end as images do are paths, as they always were.
    with pytest.raises(DataError, match="no image can be read"):
        load_dataset([f"{number}.jpg" for number in range(12)], targets=_LABELS)


@pytest.mark.parametrize(
    ("name", "kind", "rows", "labels", "shared_rows"),
    [
        ("banking77", "multiclass", {"train": 10003, "test": 3080}, 77, 6),
        ("medical_abstracts", "multiclass", {"train": 1993, "test": 664}, 5, 0),
        ("stsb", "regression", {"train": 5749, "val": 1500, "test": 1379}, 0, 7),
    ],
)
def test_real_sets(
    shared: Path, name: str, kind: str, rows: dict[str, int], labels: int, shared_rows: int
) -> None:
    data = load_dataset(shared / "data" / "text" / name)
    assert (data.task.kind, len(data.task.labels)) == (kind, labels)
    assert summarise(data).rows == rows
    train = {data.keys[row] for row in data.splits["train"]}
    assert sum(data.keys[row] in train for row in data.splits["test"]) == shared_rows


def test_several_measurements_need_a_name(shared: Path) -> None:
    folder = shared / "data" / "text" / "emobank"
    with pytest.raises(DataError, match=r"label column of .* cannot be told") as caught:
        load_dataset(folder)
    assert "valence, arousal, dominance" in caught.value.hint
    assert load_dataset(folder, target_column="arousal").task.kind == "regression"
