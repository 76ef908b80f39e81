"""Texts before the race: validation is held out before documents share rows, and only where rows can be shared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tiny_texts
from cutpoint.adapters.adapter import Adapter
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.errors import BackboneError, DataError
from cutpoint.planning.judging import plan_judging
from cutpoint.planning.plan import Entry
from cutpoint.planning.settings import Settings
from cutpoint.planning.texts import as_tokens
from cutpoint.planning.watcher import Watcher
from cutpoint.regimes import Phase, Regime, resolve_regimes
from cutpoint.types import Completion, Dataset, Task

LORA = resolve_regimes("lora")
PREFIX = (Regime(name="prefix", adapter=Adapter(kind="prefix", rank=4), phases=(Phase(train="adapter"),)),)


class Listener(Watcher):
    def __init__(self) -> None:
        self.told: list[str] = []

    def on_message(self, message: str) -> None:
        self.told.append(message)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_texts.save_language_model(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def network(folder: Path) -> Backbone:
    return load_backbone(folder, readout="language")


def documents(count: int = 20) -> Dataset:
    return Dataset(
        source="generated",
        modality="text",
        task=Task(kind="language", metric="perplexity"),
        inputs=tiny_texts.sentences(count),
        targets=np.zeros(count, dtype=np.int64),
        splits={"train": np.arange(count - 4), "test": np.arange(count - 4, count)},
        keys=tuple(f"key {row}" for row in range(count)),
        names=tuple(f"row {row}" for row in range(count)),
    )


def test_documents_that_judge_stand_alone(network: Backbone) -> None:
    given = documents()
    data = as_tokens(given, [Entry(network, LORA)], Settings(), Watcher())
    assert {name: len(rows) for name, rows in data.splits.items() if name != "train"} == {"test": 4, "val": 3}
    assert len(data.splits["train"]) < 13
    for name in ("val", "test"):
        assert {data.inputs[row] for row in data.splits[name]} <= set(given.inputs)
    judging = plan_judging(data, Settings())
    assert np.array_equal(judging.judged, data.splits["val"])
    assert judging.sentence == "on 3 examples held out from training"
    again = as_tokens(given, [Entry(network, LORA)], Settings(), Watcher())
    assert again.keys == data.keys


def test_a_validation_split_of_the_users_is_kept(network: Backbone) -> None:
    given = documents()
    given.splits["val"] = np.array([0, 1])  # type: ignore[index]
    given.splits["train"] = np.arange(2, 16)  # type: ignore[index]
    data = as_tokens(given, [Entry(network, LORA)], Settings(), Watcher())
    assert [data.inputs[row] for row in data.splits["val"]] == list(given.inputs[:2])
    assert plan_judging(data, Settings()).sentence == "on your validation split of 2 examples"


def test_rows_are_not_shared_where_that_cannot_be_learned_from(network: Backbone) -> None:
    listener = Listener()
    assert len(as_tokens(documents(), [Entry(network, PREFIX)], Settings(), listener).splits["train"]) == 16
    assert listener.told == [
        "Documents do not share rows: the virtual tokens of prefix stand in front of a row, once."
    ]
    silent = Listener()
    kept = as_tokens(documents(), [Entry(network, PREFIX)], Settings(pack=False), silent)
    assert len(kept.splits["train"]) == 16 and not silent.told


def test_perplexities_of_different_tokens_do_not_race(network: Backbone, folder: Path) -> None:
    other = load_backbone(folder, readout="language", max_length=16)
    with pytest.raises(BackboneError, match="cannot be compared"):
        as_tokens(documents(), [Entry(network, LORA), Entry(other, LORA)], Settings(), Watcher())


def test_texts_that_teach_nothing_are_left_out_and_told(folder: Path) -> None:
    network = load_backbone(folder, readout="language", max_length=8)
    given, listener = documents(), Listener()
    given.inputs[3] = Completion("the cat " * 8, " home")  # type: ignore[index]
    data = as_tokens(given, [Entry(network, LORA)], Settings(pack=False), listener)
    assert 3 not in data.splits["train"] and len(data.splits["train"]) == 15
    assert "nothing to be learned is left at 8 tokens: 1 (row 3)" in data.notes[-1]
    assert listener.told[-1].endswith("they are left out.")


def test_a_split_that_teaches_nothing_is_an_error(folder: Path) -> None:
    network = load_backbone(folder, readout="language", max_length=8)
    given = documents()
    given.inputs[:] = [Completion("the cat " * 8, " home")] * len(given)  # type: ignore[index]
    with pytest.raises(DataError, match="Nothing is to be learned from the train split"):
        as_tokens(given, [Entry(network, LORA)], Settings(), Watcher())
