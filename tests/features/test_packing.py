"""Training documents that share rows of tokens lose nothing, mix nothing, and leave what is judged alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tiny_texts
from cutpoint.backbones.from_transformers.tokenizer import TextInputs
from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.tokens import IDS, MARKS, SEGMENTS
from cutpoint.features.packing import pack
from cutpoint.types import Completion, Dataset, Task

LIMIT = 12


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> TextInputs:
    folder = tiny_texts.save_language_model(tmp_path_factory.mktemp("network"))
    found = load_backbone(folder, readout="language", max_length=LIMIT).inputs
    assert isinstance(found, TextInputs)
    return found


def dataset_of(texts: list[Any], groups: list[str] | None = None) -> Dataset:
    count = len(texts)
    return Dataset(
        source="generated",
        modality="text",
        task=Task(kind="language", metric="perplexity"),
        inputs=texts,
        targets=np.zeros(count, dtype=np.int64),
        splits={"train": np.arange(1, count), "test": np.array([0])},
        keys=tuple(f"key {row}" for row in range(count)),
        names=tuple(f"row {row}" for row in range(count)),
        groups=None if groups is None else np.array(groups),
    )


def documents_of(row: np.ndarray) -> list[np.ndarray]:
    return [row[:, row[SEGMENTS] == number] for number in np.unique(row[SEGMENTS])]


def test_every_document_is_whole_in_one_row_and_begins_unpredicted(inputs: TextInputs) -> None:
    texts = tiny_texts.sentences(30)
    packed = pack(dataset_of(texts), inputs)
    rows = [packed.inputs[row] for row in packed.splits["train"]]
    assert len(rows) < 29 and all(row.shape[1] <= LIMIT for row in rows)
    found = sorted(tuple(document[IDS]) for row in rows for document in documents_of(row))
    assert found == sorted(tuple(inputs.prepare(text)[IDS]) for text in texts[1:])
    assert all(
        document[MARKS, 0] < 0 and (document[MARKS, 1:] > 0).all()
        for row in rows
        for document in documents_of(row)
    )
    assert packed.inputs[packed.splits["test"][0]] == texts[0]
    assert packed.keys[packed.splits["test"][0]] == "key 0" and len(set(packed.keys)) == len(packed.keys)


def test_long_texts_become_documents_and_long_completions_are_cut_off(inputs: TextInputs) -> None:
    long = " ".join(["cat"] * 30)
    packed = pack(dataset_of(["a dog", long, Completion("a dog", " cat" * 30)]), inputs)
    rows = [packed.inputs[row] for row in packed.splits["train"]]
    assert sorted(row.shape[1] for row in rows) == [31 % LIMIT, LIMIT, LIMIT, LIMIT]


def test_what_teaches_nothing_takes_no_room(inputs: TextInputs) -> None:
    once_too_long = " ".join(["cat"] * LIMIT)  # with the token in front, one more than the limit
    assert inputs.whole(once_too_long).shape[1] == LIMIT + 1
    packed = pack(dataset_of(["a dog"] + [once_too_long] * 3), inputs)
    assert [packed.inputs[row].shape[1] for row in packed.splits["train"]] == [LIMIT] * 3


def test_groups_share_no_row(inputs: TextInputs) -> None:
    groups = ["judged", *["one", "other"] * 6]
    packed = pack(dataset_of(["a dog"] * 13, groups), inputs)
    assert packed.groups is not None and len(packed.groups) == len(packed)
    assert sorted(packed.groups[packed.splits["train"]]) == ["one"] * 2 + ["other"] * 2


def test_other_texts_have_other_keys(inputs: TextInputs) -> None:
    given = dataset_of(tiny_texts.sentences(8))
    other = replace(given, keys=("key 0", "changed", *given.keys[2:]))
    assert pack(given, inputs).keys == pack(given, inputs).keys != pack(other, inputs).keys
