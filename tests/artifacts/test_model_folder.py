"""The model folder of texts and adapters: what it holds, and what it refuses. (That it predicts the same is among
the contracts.)"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny_texts
from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.inject import inject, is_adapter_parameter
from cutpoint.artifacts import load_model, save_model
from cutpoint.artifacts.model_folder import changed_tensors, stored_bytes
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.errors import ArtifactError
from cutpoint.heads.modules import LinearHead
from cutpoint.model import Model, Network
from cutpoint.types import Decoding, Task

TASK = Task(kind="multiclass", labels=("a", "b", "c"))
TEXTS = ["the cat saw two", "dog run home", "cow"]


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    return load_backbone(tiny_texts.save_encoder(tmp_path / "encoder"))


def adapted(backbone: Backbone, adapter: Adapter) -> Model:
    """With an adapter that does something, above the first layer."""
    torch.manual_seed(1)
    module = backbone.rebuild().eval()
    module.load_state_dict(backbone.module.state_dict())
    inject(module, adapter, backbone.blocks[2].members)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if is_adapter_parameter(name):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return Model(
        backbone, Network(module, LinearHead(backbone.width, 3)), TASK, "lora", cut=2, adapter=adapter
    )


@pytest.fixture
def saved(backbone: Backbone, tmp_path: Path) -> tuple[Model, Path]:
    model = adapted(backbone, Adapter(kind="lora", rank=4))
    return model, save_model(model, tmp_path / "model")


def test_an_adapter_is_stored_beside_the_head_and_nothing_of_the_backbone(saved: tuple[Model, Path]) -> None:
    model, folder = saved
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "adapter",
        "cutpoint.json",
        "model.safetensors",
    }
    assert all(name.startswith("head.") for name in changed_tensors(model))
    on_disk = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    assert stored_bytes(model) < on_disk < 1.5 * stored_bytes(model) + 4000
    facts = json.loads((folder / "cutpoint.json").read_text())
    assert facts["adapter"]["kind"] == "lora" and facts["preprocessing"]["kind"] == "text"
    assert facts["backbone"]["readout"] == "pooled"
    loaded = load_model(folder)
    assert np.array_equal(loaded.predict_scores(TEXTS), model.predict_scores(TEXTS))
    assert loaded.adapter == model.adapter


@pytest.mark.parametrize("file", ["model.safetensors", "adapter/adapter_model.safetensors"])
def test_damage_is_noticed_wherever_it_is(saved: tuple[Model, Path], file: str) -> None:
    path = saved[1] / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="not what was saved"):
        load_model(saved[1])
    path.unlink()
    with pytest.raises(ArtifactError):
        load_model(saved[1])


def test_another_tokenizer_is_refused(saved: tuple[Model, Path]) -> None:
    """The same weights would read other words from the same texts."""
    model, folder = saved
    place = Path(str(model.backbone.reference.path)) / "tokenizer.json"
    content = json.loads(place.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["cat"], vocabulary["dog"] = vocabulary["dog"], vocabulary["cat"]
    place.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="preprocessing of encoder is not the one"):
        load_model(folder)


def test_another_backbone_is_refused_and_a_moved_one_is_found(
    saved: tuple[Model, Path], tmp_path: Path
) -> None:
    model, folder = saved
    place = Path(str(model.backbone.reference.path))
    moved = place.rename(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match="is not at"):
        load_model(folder)
    loaded = load_model(folder, backbone_path=moved)
    assert np.array_equal(loaded.predict_scores(TEXTS), model.predict_scores(TEXTS))
    other = load_backbone(tiny_texts.save_language_model(tmp_path / "other"))
    with pytest.raises(ArtifactError, match="other weights"):
        load_model(folder, backbone=other)


def test_a_probe_stores_the_head_alone(backbone: Backbone, tmp_path: Path) -> None:
    probe = Model(
        backbone, Network(backbone.module, LinearHead(backbone.width, 3)), TASK, "linear-probe", cut=3
    )
    folder = save_model(probe, tmp_path / "model")
    assert not (folder / "adapter").exists()
    assert (folder / "model.safetensors").stat().st_size < 3000
    assert np.array_equal(load_model(folder).predict_scores(TEXTS), probe.predict_scores(TEXTS))


def test_a_model_replaces_a_model_and_nothing_else(saved: tuple[Model, Path], tmp_path: Path) -> None:
    model, folder = saved
    plain = Model(
        model.backbone, Network(model.backbone.module, model.network.head), TASK, "linear-probe", cut=3
    )
    save_model(plain, folder)
    assert not (folder / "adapter").exists() and load_model(folder).adapter is None
    (tmp_path / "thesis").mkdir()
    with pytest.raises(ArtifactError, match="not a model folder"):
        save_model(plain, tmp_path / "thesis")


@pytest.mark.parametrize("decoding", ["full", "reduced"])
def test_large_pictures_are_decoded_as_in_training(decoding: Decoding, tmp_path: Path) -> None:
    backbone = load_backbone("builtin:glyphs").with_decoding(decoding)
    head = Network(backbone.module, LinearHead(backbone.width, 3))
    folder = save_model(
        Model(backbone, head, TASK, "linear-probe", cut=len(backbone.blocks)), tmp_path / "model"
    )
    facts = json.loads((folder / "cutpoint.json").read_text())
    # Models of earlier versions say nothing of it, and were trained on full decodings.
    assert facts["preprocessing"].get("decoding", "full") == decoding
    assert load_model(folder).backbone.preprocessing == backbone.preprocessing
