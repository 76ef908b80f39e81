"""The forgetting meter: what the backbone could do elsewhere, before and after."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.data import load_dataset
from cutpoint.errors import DataError
from cutpoint.heads.modules import LinearHead, NoHead
from cutpoint.model import Model, Network
from cutpoint.race.reference import Reference
from cutpoint.types import Dataset, Task, TextPair
from tiny_texts import save_encoder, save_language_model, sentences


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_backbone(save_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture(scope="module")
def labelled() -> Dataset:
    texts = [f"{'play some music' if row % 2 else 'book a table'} {row}" for row in range(60)]
    return load_dataset(texts, targets=["music" if row % 2 else "table" for row in range(60)])


def _model(backbone: Backbone, *, noise: float) -> Model:
    module = copy.deepcopy(backbone.module)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    task = Task(kind="multiclass", labels=("a", "b", "c"))
    return Model(backbone, Network(module, LinearHead(backbone.width, 3)), task, "full", 0)


def test_a_backbone_that_nothing_changed_forgets_nothing(encoder: Backbone, labelled: Dataset) -> None:
    reference = Reference(labelled, labelled, seed=0)
    task = Task(kind="multiclass", labels=("a", "b", "c"))
    probe = Model(encoder, Network(encoder.module, LinearHead(encoder.width, 3)), task, "linear-probe", 2)
    assert reference.retention(probe) is None
    same = reference.retention(_model(encoder, noise=0.0))
    assert same is not None
    assert same.change == 0
    assert same.before == same.after


def test_a_wrecked_encoder_has_forgotten(encoder: Backbone, labelled: Dataset) -> None:
    reference = Reference(labelled, labelled, seed=0)
    wrecked = _model(encoder, noise=0.0)
    with torch.no_grad():
        for parameter in wrecked.network.backbone.parameters():
            parameter.zero_()
    found = reference.retention(wrecked)
    assert found is not None
    assert found.before.value > 0.9
    assert found.change < -0.2
    assert found.high < 0


def test_pairs_are_judged_by_the_rank_of_their_cosine(encoder: Backbone, labelled: Dataset) -> None:
    pairs = [TextPair("play some music", text) for text in sentences(40)]
    dataset = replace(
        labelled,
        task=Task(kind="regression", metric="r2"),
        inputs=pairs,
        targets=np.arange(40, dtype=np.float32),
        splits={"train": np.arange(0), "test": np.arange(40)},
    )
    found = Reference(dataset, labelled, seed=0).retention(_model(encoder, noise=0.05))
    assert found is not None
    assert found.metric == "spearman"
    assert found.before.n == 40


def test_language_models_are_judged_by_perplexity(tmp_path: Path) -> None:
    backbone = load_backbone(save_language_model(tmp_path), readout="language")
    (tmp_path / "texts.txt").write_text("\n\n".join(sentences(30)), encoding="utf-8")
    dataset = load_dataset(tmp_path / "texts.txt")
    module = copy.deepcopy(backbone.module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    model = Model(backbone, Network(module, NoHead()), dataset.task, "full", 0)
    found = Reference(dataset, dataset, seed=0).retention(model)
    assert found is not None
    assert found.metric == "perplexity"
    assert (found.change > 0) == (found.after.value < found.before.value)
    assert found.change != 0


def test_a_reference_of_another_kind_is_refused(labelled: Dataset) -> None:
    images = replace(labelled, modality="image")
    with pytest.raises(DataError, match="is image data for binary, and the race is about text data"):
        Reference(images, labelled, seed=0)
    language = replace(labelled, task=Task(kind="language", metric="perplexity"))
    with pytest.raises(DataError, match="for language"):
        Reference(language, labelled, seed=0)
