"""`cutpoint merge`: plain layers with the same answers, or a sentence that says why not."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import cutpoint as package
from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.inject import inject, is_adapter_parameter
from cutpoint.artifacts import change_of_scores, load_model, merge_model, save_model
from cutpoint.backbones.load import load_backbone
from cutpoint.errors import ArtifactError
from cutpoint.heads.modules import LinearHead
from cutpoint.model import Model, Network
from cutpoint.types import Task
from tiny_texts import ANIMALS, texts_of_animals

TEXTS = texts_of_animals(np.arange(12) % 3)


def _model(encoder: Path, adapter: Adapter) -> Model:
    """An adapter and a head of random weights on the tiny encoder."""
    backbone = load_backbone(encoder)
    module = copy.deepcopy(backbone.module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        inject(module, adapter, [member for block in backbone.blocks for member in block.members])
        for name, parameter in module.named_parameters():
            if is_adapter_parameter(name):
                torch.nn.init.normal_(parameter, std=0.1)
        head = LinearHead(backbone.width, 3)
        torch.nn.init.normal_(next(head.parameters()))
    task = Task(kind="multiclass", labels=tuple(ANIMALS))
    return Model(backbone, Network(module, head), task, adapter.kind, 0, adapter=adapter)


def test_a_merged_folder_answers_the_same_without_an_adapter(cutpoint, animals: Path, tmp_path: Path) -> None:
    ended = cutpoint(
        "merge", animals, "--out", tmp_path / "merged", "--check", TEXTS[0], "--check", TEXTS[1], "--json"
    )
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["checked"] == 2 and told["largest_change"] < 1e-5
    assert not (tmp_path / "merged" / "adapter").exists()
    merged, adapted = package.load(tmp_path / "merged"), package.load(animals)
    assert merged.adapter is None and not any(map(is_adapter_parameter, merged.network.state_dict()))
    assert change_of_scores(adapted, merged, TEXTS) < 1e-5
    assert "merged into the weights" in (tmp_path / "merged" / "README.md").read_text()
    ended = cutpoint("merge", tmp_path / "merged", "--out", tmp_path / "again")
    assert ended.code == 2 and "no adapter" in ended.err and not (tmp_path / "again").exists()


def test_what_is_no_update_of_weights_is_refused(encoder: Path) -> None:
    model = _model(encoder, Adapter(kind="bottleneck", rank=2))
    with pytest.raises(ArtifactError, match="cannot be merged"):
        merge_model(model)


def test_a_base_in_four_bits_is_merged_in_full_precision_and_the_loss_said(
    encoder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    model = _model(encoder, Adapter(kind="lora", rank=2, base="nf4"))
    with pytest.raises(ArtifactError, match="4 bits"):
        package.merge(model, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    change = package.merge(model, tmp_path / "merged", inputs=TEXTS)
    assert change is not None and 1e-5 < change < 0.5
    merged = load_model(tmp_path / "merged")
    assert change_of_scores(model, merged, TEXTS) == pytest.approx(change, abs=1e-6)
    assert model.adapter is not None and model.adapter.base == "nf4"


def test_the_given_model_stays_as_it_is(encoder: Path, tmp_path: Path) -> None:
    model = _model(encoder, Adapter(kind="lora", rank=2))
    before = model.predict_scores(TEXTS)
    save_model(merge_model(model), tmp_path / "merged")
    assert np.array_equal(before, model.predict_scores(TEXTS)) and model.adapter is not None
