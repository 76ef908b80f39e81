"""The classifier of the pretraining, where the folder keeps it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.source_classes import stored_classifier
from cutpoint.backbones.torchvision_repair import import_torchvision


def test_features_become_the_logits_of_the_whole_network(shared: Path) -> None:
    import_torchvision()
    import timm

    folder = shared / "weights/mobilenetv2_100_coral"
    backbone = load_backbone(str(folder), image_size=64)
    whole = timm.create_model("mobilenetv2_100", num_classes=1000, pad_type="same", bn_eps=1e-3).eval()
    whole.load_state_dict(load_file(folder / "model.safetensors"))
    batch = backbone.inputs.noise(3)
    with torch.inference_mode():
        features, expected = backbone.module(batch).numpy(), whole(batch).numpy()
    assert backbone.source_scores is not None
    np.testing.assert_allclose(backbone.source_scores(features), expected, atol=1e-3)
    assert len(backbone.source_classes) == 1000


def test_folders_without_a_classifier_have_none(shared: Path) -> None:
    assert load_backbone(str(shared / "weights/mobilenetv2_035_tm"), image_size=64).source_scores is None


@pytest.mark.parametrize(("width", "has_one"), [(4, True), (5, False)])
def test_a_classifier_on_other_features_is_none(tmp_path: Path, width: int, has_one: bool) -> None:
    save_file({"head.weight": torch.ones(3, 4)}, tmp_path / "w.safetensors")
    found = stored_classifier(tmp_path / "w.safetensors", "head", width)
    assert (found is not None) == has_one
    if found is not None:
        assert found(np.ones((2, 4), dtype=np.float32)).tolist() == [[4.0] * 3] * 2
    assert stored_classifier(tmp_path / "w.safetensors", "classifier", 4) is None
