"""Banks of texts: nothing that is stored depends on padding, order or the batch that it was computed in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_texts
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.tokens import IDS, MARKS, lengths_of
from cutpoint.features.bank import FeatureBank
from cutpoint.features.cut import Cut
from cutpoint.features.store import ActivationCache
from cutpoint.types import IGNORED, Dataset, Readout, Task

COUNT = 50
ROWS = np.array([1, 2, 4, 5, *range(8, COUNT)])
SHUFFLED = np.array([7, 0, 30, 2, 19])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_texts.save_encoder(tmp_path_factory.mktemp("encoder"))


def dataset(task: Task, inputs: list[Any], targets: np.ndarray) -> Dataset:
    return Dataset(
        source="generated",
        modality="text",
        task=task,
        inputs=inputs,
        targets=targets,
        splits={"train": np.arange(COUNT)},
        keys=tuple(f"{task.kind} {row}" for row in range(COUNT)),
        names=tuple(f"row {row}" for row in range(COUNT)),
    )


def of_texts() -> Dataset:
    labels = np.arange(COUNT) % 3
    task = Task(kind="multiclass", labels=("a", "b", "c"))
    return dataset(task, tiny_texts.texts_of_animals(labels), labels)


def of_words() -> Dataset:
    task = Task(kind="tagging", labels=tiny_texts.TAGS, metric="entity_f1")
    return dataset(task, *tiny_texts.tagged_sentences(COUNT))


def make(
    backbone: Backbone, data: Dataset, folder: Path, limit: int = 1 << 30
) -> tuple[FeatureBank, list[str]]:
    told: list[str] = []
    cache = ActivationCache(folder, limit)
    return FeatureBank(backbone, data, ROWS, cache, lambda what, *_: told.append(what)), told


def alone(backbone: Backbone, data: Dataset, position: int) -> torch.Tensor:
    """What the network says of one example in a batch of its own."""
    prepared = backbone.inputs.prepare(data.inputs[ROWS[position]])
    with torch.inference_mode():
        output: torch.Tensor = backbone.module(backbone.inputs.collate([prepared]))[0]
    return output


@pytest.mark.parametrize("readout", ["pooled", "words"])
def test_pooled_features_are_those_of_each_example_alone(
    encoder: Path, tmp_path: Path, readout: Readout
) -> None:
    backbone = load_backbone(encoder, readout=readout)
    data = of_texts() if readout == "pooled" else of_words()
    bank, told = make(backbone, data, tmp_path)
    read = bank.pooled().read(SHUFFLED)
    for row, position in zip(read, SHUFFLED, strict=True):
        expected = alone(backbone, data, int(position))
        torch.testing.assert_close(row[: len(expected)], expected, rtol=1e-5, atol=1e-6)
        assert readout == "pooled" or not row[len(expected) :].any()
    words = sum(len(data.inputs[row]) for row in ROWS) if readout == "words" else len(ROWS)
    assert bank.pooled().final.shape == (words, backbone.width)
    assert [len(block) for block in bank.pooled().blocks] == [words] * len(backbone.blocks)
    assert "computing features" in told

    again, told_again = make(backbone, data, tmp_path)
    uncached, _ = make(backbone, data, tmp_path / "none", limit=0)
    assert "computing features" not in (again.pooled(), told_again)[1]
    for other in (again, uncached):
        assert np.array_equal(other.pooled().final, bank.pooled().final)


def test_another_readout_or_length_shares_nothing(encoder: Path, tmp_path: Path) -> None:
    data = of_texts()
    long, _ = make(load_backbone(encoder), data, tmp_path)
    short, told = make(load_backbone(encoder, max_length=8), data, tmp_path)
    assert not np.array_equal(long.pooled().final, short.pooled().final)
    assert "computing features" in told
    assert long.lengths is not None and short.lengths is not None
    assert short.lengths.max() == 8 < long.lengths.max()


def test_activations_are_stored_without_padding(encoder: Path, tmp_path: Path) -> None:
    backbone, data, cut = load_backbone(encoder), of_texts(), 2
    bank, _ = make(backbone, data, tmp_path)
    stored = bank.activations(cut)
    assert stored is not None and bank.lengths is not None
    assert stored.arrays[0].shape == (int(bank.lengths.sum()), backbone.width)
    assert bank.activation_bytes(cut) == stored.arrays[0].nbytes
    read = stored.read(SHUFFLED, epoch=3)
    batch = bank.to_network(bank.prepared(SHUFFLED))
    assert read.shape == (len(SHUFFLED), int(bank.lengths[SHUFFLED].max()), backbone.width)
    split = Cut(backbone.module, backbone.blocks, cut, backbone.inputs)
    with torch.no_grad():
        expected, whole = split.prefix(batch), backbone.module(batch)
        torch.testing.assert_close(split.suffix(read, batch), whole, rtol=1e-5, atol=1e-6)
    for row, truth, length in zip(read, expected, bank.lengths[SHUFFLED], strict=True):
        torch.testing.assert_close(row[:length], truth[:length], rtol=1e-5, atol=1e-6)
        assert not row[length:].any()
    assert make(backbone, data, tmp_path / "small", limit=10)[0].activations(cut) is None


def test_prepared_texts_come_in_the_order_that_is_asked_for(encoder: Path, tmp_path: Path) -> None:
    bank, _ = make(load_backbone(encoder), of_texts(), tmp_path)
    before = bank.prepared(SHUFFLED)
    assert bank.lengths is not None
    assert torch.equal(bank.prepared(SHUFFLED), before)
    assert lengths_of(before).tolist() == bank.lengths[SHUFFLED].tolist()


def test_words_that_were_cut_off_have_no_target(encoder: Path, tmp_path: Path) -> None:
    data = of_words()
    bank, _ = make(load_backbone(encoder, readout="words", max_length=8), data, tmp_path)
    kept = np.minimum([len(data.inputs[row]) for row in ROWS], 6)  # between the beginning and the end
    assert (bank.targets != IGNORED).sum(1).tolist() == kept.tolist()
    assert (data.targets != IGNORED).sum(1).max() == 8, "the data themselves are left as they are"
    spans = bank.pooled().spans
    assert spans is not None and spans.counts.tolist() == kept.tolist()


def test_a_language_model_is_to_predict_the_next_token(tmp_path: Path) -> None:
    backbone = load_backbone(
        tiny_texts.save_language_model(tmp_path / "network"), readout="language", max_length=8
    )
    data = dataset(
        Task(kind="language", metric="perplexity"),
        tiny_texts.sentences(COUNT),
        np.zeros(COUNT, dtype=np.int64),
    )
    bank, _ = make(backbone, data, tmp_path / "cache")
    for position, row in enumerate(bank.targets):
        tokens = backbone.inputs.prepare(data.inputs[ROWS[position]])
        assert tokens.shape[1] <= 8 and (tokens[MARKS, 1:] == 1).all()
        following = tokens[IDS, 1:].tolist()
        assert row[: len(following)].tolist() == following
        assert (row[len(following) :] == IGNORED).all()
