"""Token classification: words and tags, the BIO scheme, and rows that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from cutpoint.data import content_hash, load_dataset, load_known, summarise
from cutpoint.data.splits import folds, holdout
from cutpoint.data.tagging import is_bio, stray_insides
from cutpoint.errors import DataError
from cutpoint.types import IGNORED, Words

_ROWS = [
    {"tokens": ["Ada", "Lovelace", "wrote", str(number)], "tags": ["B-PER", "I-PER", "O", "O"]}
    for number in range(6)
] + [{"tokens": ["in", f"Rome{number}"], "tags": ["O", "B-LOC"]} for number in range(6)]


def _lines(folder: Path, rows: list[Any], name: str = "data.jsonl") -> Path:
    (folder / name).write_text("\n".join(json.dumps(row) for row in rows))
    return folder / name


def test_words_and_tags(tmp_path: Path) -> None:
    data = load_dataset(_lines(tmp_path, _ROWS))
    assert (data.modality, data.task.kind, data.task.metric) == ("text", "tagging", "entity_f1")
    assert data.task.labels == ("O", "B-LOC", "B-PER", "I-PER")
    assert data.inputs[0] == Words(("Ada", "Lovelace", "wrote", "0"))
    assert isinstance(data.inputs[0], Words)
    assert data.targets.dtype == np.int64
    assert data.targets[0].tolist() == [2, 3, 0, 0]
    assert data.targets[6].tolist() == [0, 1, IGNORED, IGNORED]
    assert data.names[6] == "row 7"
    assert data.notes == ("words are in the column “tokens”, tags in “tags”",)
    counts = summarise(data).class_counts
    assert sum(own["B-PER"] for own in counts.values()) == 6
    assert sum(own["O"] for own in counts.values()) == 18
    assert load_dataset(_lines(tmp_path, _ROWS), metric="token_accuracy").task.metric == "token_accuracy"


@pytest.mark.parametrize("names", [("words", "ner_tags"), ("tokens", "labels"), ("Words", "Tags")])
def test_usual_names_and_parquet(tmp_path: Path, names: tuple[str, str]) -> None:
    columns = {names[0]: [row["tokens"] for row in _ROWS], names[1]: [row["tags"] for row in _ROWS]}
    columns["text"] = [["never"]] * 12
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "data.parquet")
    data = load_dataset(tmp_path / "data.parquet")
    assert content_hash(data) == content_hash(load_dataset(_lines(tmp_path, _ROWS)))


def test_named_columns_and_several_of_tags(tmp_path: Path) -> None:
    rows = [
        {"mine": row["tokens"], "tags": row["tags"], "pos_tags": ["X"] * len(row["tags"])} for row in _ROWS
    ]
    rows[0]["pos_tags"][0] = "Y"
    file = _lines(tmp_path, rows)
    data = load_dataset(file, input_column="mine", target_column="pos_tags")
    assert data.task.labels == ("X", "Y")
    assert data.task.metric == "token_accuracy"
    assert "the tags are not BIO" in data.notes[1]
    with pytest.raises(DataError, match=r"column of tags of .* cannot be told: tags, pos_tags"):
        load_dataset(file, input_column="mine")


def test_tokens_beside_a_text_with_one_label(tmp_path: Path) -> None:
    rows = [{"text": f"a{n}", "tokens": ["a", str(n)], "label": "xy"[n % 2]} for n in range(12)]
    data = load_dataset(_lines(tmp_path, rows), target_column="label")
    assert data.task.kind == "binary"
    assert data.inputs[0] == "a0"


def test_faults_of_the_scheme_are_noted(tmp_path: Path) -> None:
    rows = [*_ROWS[:10], {"tokens": ["a", "b"], "tags": ["I-LOC", "I-LOC"]}]
    for name, own in {"train": rows, "test": [{"tokens": ["a", "b"], "tags": ["B-LOC", "I-PER"]}]}.items():
        _lines(tmp_path, own, f"{name}.jsonl")
    data = load_dataset(tmp_path)
    assert data.notes[1] == (
        "tags I-X that follow neither B-X nor I-X: 2 in 2 rows (train.jsonl row 11, test.jsonl row 1); "
        "each is read as the beginning of an entity"
    )
    assert data.splits["test"].tolist() == [11]
    assert stray_insides(["I-A", "I-A", "O", "I-A", "B-B", "I-A", "I-A"]) == 3
    assert not is_bio(["O"])
    assert not is_bio(["O", "S-LOC", "B-LOC"])
    assert is_bio(["B-a-b", "I-a-b"])


def test_splits_go_by_rows(tmp_path: Path) -> None:
    file = _lines(tmp_path, _ROWS)
    data = load_dataset(file, test_fraction=0.25, seed=3)
    assert len(data.splits["test"]) == 3
    kept, held = holdout(data, data.splits["train"], fraction=0.3, seed=0)
    assert len(held) == 3
    assert set(kept).isdisjoint(held)
    (repeat,) = folds(data, data.splits["train"], count=3, repeats=1, seed=0)
    assert sorted(np.concatenate([own for _, own in repeat])) == data.splits["train"].tolist()
    grouped = load_dataset(
        _lines(tmp_path, [{**row, "paper": n // 3} for n, row in enumerate(_ROWS)]), group="paper"
    )
    assert grouped.groups is not None
    assert set(grouped.groups[grouped.splits["train"]]).isdisjoint(grouped.groups[grouped.splits["test"]])
    with pytest.raises(DataError, match="one class an example; the task is tagging"):
        load_dataset(file, per_class=2)


def test_tags_that_one_split_lacks_are_noted(tmp_path: Path) -> None:
    _lines(tmp_path, _ROWS[:6], "train.jsonl")
    _lines(tmp_path, _ROWS[6:], "test.jsonl")
    notes = load_dataset(tmp_path).notes
    assert "the test split holds tags that the training split lacks: B-LOC" in notes
    assert "tags without test examples (given split): B-PER, I-PER" in notes


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, r"row 13 of .* has 2 words but 1 tags; rows like that: 1"),
        ({"tokens": ["a", "b"], "tags": "O O"}, "row 13 of .* holds str where a list of tags"),
        ({"tokens": ["a", 3], "tags": ["O", "O"]}, "row 13 of .* has words that are no texts"),
        ({"tokens": ["a", "b"], "tags": ["O", None]}, "row 13 of .* has a word without a tag"),
        ({"tags": ["O"]}, "row 13 of .* has 0 words but 1 tags"),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(_lines(tmp_path, [*_ROWS, row]))


def test_empty_sentences_and_words_are_set_aside(tmp_path: Path) -> None:
    rows = [*_ROWS, {"tokens": [], "tags": []}, {"tokens": ["a", " "], "tags": ["O", "O"]}]
    data = load_dataset(_lines(tmp_path, rows), max_unreadable=0.2)
    assert [(item.name, item.reason) for item in data.quarantined] == [
        ("row 13", "empty text"),
        ("row 14", "word 2 is empty"),
    ]
    assert data.targets.shape == (12, 4)


def test_one_tag_is_nothing_to_learn(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all words have the tag “O”"):
        load_dataset(_lines(tmp_path, [{"tokens": [str(n)], "tags": ["O"]} for n in range(5)]))


def test_lists_in_memory() -> None:
    words, tags = [row["tokens"] for row in _ROWS], [row["tags"] for row in _ROWS]
    data = load_dataset(words, targets=tags)
    assert (data.task.kind, data.task.metric) == ("tagging", "entity_f1")
    assert data.inputs[0] == Words(words[0])
    with pytest.raises(DataError, match="row 0 of texts in memory has 4 words but 3 tags"):
        load_dataset(words, targets=[tags[0][1:], *tags[1:]], task="tagging")
    assert load_dataset(words[6:], targets=tags[6:]).task.kind == "tagging"
    assert (
        load_dataset([["a", str(n)] for n in range(8)], targets=[["x", "y"], ["y", "z"]] * 4).task.kind
        == "multilabel"
    )
    known = load_known(words[6:8], data.task, targets=tags[6:8])
    assert known.targets.tolist() == [[0, 1], [0, 1]]
    with pytest.raises(DataError, match="tags that the model does not know: B-ORG"):
        load_known(words[6:7], data.task, targets=[["O", "B-ORG"]])
    with pytest.raises(DataError, match="task tagging cannot be learned from these data"):
        load_dataset(np.eye(4), targets=[0, 1, 0, 1], task="tagging")


def test_real_sets(shared: Path) -> None:
    data = load_dataset(shared / "data" / "text" / "wnut17")
    assert summarise(data).rows == {"train": 3394, "val": 1009, "test": 1287}
    assert data.task.labels[:3] == ("O", "B-corporation", "B-creative-work")
    assert len(data.task.labels) == 13
    lengths = (data.targets != IGNORED).sum(axis=1)
    assert lengths.tolist() == [len(words) for words in data.inputs]
