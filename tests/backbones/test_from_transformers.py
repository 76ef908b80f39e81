"""transformers backbones: features, blocks, cuts and pixels, from folders that save_pretrained wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cutpoint.backbones.from_transformers import from_transformers
from cutpoint.backbones.load import load_backbone, load_reference
from cutpoint.backbones.order import block_parameters, uncovered_parameters
from cutpoint.backbones.preprocessing import normalise, prepare
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import BackboneError
from cutpoint.features.cut import valid_cuts
from cutpoint.features.pooling import pooled_blocks

import_torchvision()  # before the tests' own imports of transformers


def _vit(classifier: bool = False) -> tuple[Any, Any]:
    import transformers as t

    shape = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
    configuration = t.ViTConfig(image_size=32, patch_size=8, **shape)
    model = (t.ViTForImageClassification if classifier else t.ViTModel)(configuration)
    return model, t.ViTImageProcessorPil(size={"height": 32, "width": 32})


def _vit_classifier() -> tuple[Any, Any]:
    return _vit(classifier=True)


def _convnext() -> tuple[Any, Any]:
    import transformers as t

    configuration = t.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1])
    return t.ConvNextForImageClassification(configuration), t.ConvNextImageProcessorPil(
        size={"shortest_edge": 64}
    )


def _resnet() -> tuple[Any, Any]:
    import transformers as t

    configuration = t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1])
    return t.ResNetModel(configuration), t.ConvNextImageProcessorPil(size={"shortest_edge": 384})


def _swin() -> tuple[Any, Any]:
    import transformers as t

    configuration = t.SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[1, 2, 1], num_heads=[2, 2, 2], window_size=2
    )
    return t.SwinModel(configuration), t.ViTImageProcessorPil(size={"height": 32, "width": 32})


def _clip() -> tuple[Any, Any]:
    import transformers as t

    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    configuration = t.CLIPConfig(
        vision_config={"image_size": 32, "patch_size": 8, **shape}, text_config={"vocab_size": 50000, **shape}
    )
    processor = t.CLIPImageProcessorPil(
        size={"shortest_edge": 33}, crop_size={"height": 32, "width": 32}, do_convert_rgb=True
    )
    return t.CLIPModel(configuration), processor


MAKERS = [_vit, _vit_classifier, _convnext, _resnet, _swin, _clip]


@pytest.fixture(scope="module", params=MAKERS, ids=lambda maker: maker.__name__.strip("_"))
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    torch.manual_seed(0)
    model, processor = request.param()
    folder = tmp_path_factory.mktemp("model")
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder, model, processor


def test_every_cut_is_valid_and_blocks_cover_all(saved: tuple[Path, Any, Any]) -> None:
    backbone = load_backbone(str(saved[0]), image_size=64 if "ResNet" in type(saved[1]).__name__ else None)
    report = valid_cuts(backbone)
    assert report.dropped == {} and len(report.valid) == len(backbone.blocks) + 1
    assert uncovered_parameters(backbone) == ()
    assert all(block_parameters(backbone.module, block) for block in backbone.blocks)
    inputs = torch.randn(2, 3, *backbone.preprocessing.size)
    with torch.no_grad():
        features, pooled = pooled_blocks(backbone.module, backbone.blocks, backbone.inputs, inputs)
        assert features.shape == (2, backbone.width) and len(pooled) == len(backbone.blocks)
        assert backbone.rebuild()(inputs).shape == features.shape
    assert load_reference(backbone.reference).reference == backbone.reference


@pytest.mark.parametrize("size", [None, 48])
def test_pixels_equal_the_librarys_own_processor(
    saved: tuple[Path, Any, Any], shared: Path, size: int | None
) -> None:
    folder, model, processor = saved
    if size is not None and "ResNet" in type(model).__name__:
        pytest.skip("this processor changes its recipe below 384 pixels; ours keeps the backbone's own")
    backbone = from_transformers(folder, image_size=size)
    overrides: dict[str, Any] = {}
    if size is not None:
        scaled = {"height": size, "width": size}
        by_edge = {"shortest_edge": size}
        overrides = {"size": by_edge if "shortest_edge" in dict(processor.size) else scaled}
        if getattr(processor, "do_center_crop", False):
            overrides = {"size": {"shortest_edge": 33 * size // 32}, "crop_size": scaled}
    files = sorted((shared / "data" / "vision" / "clothing10" / "test").rglob("*.jpg"))[::150]
    random = np.random.default_rng(1)
    images = [Image.open(file).convert("RGB") for file in files]
    images += [
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in ((61, 40), (227, 333), (500, 333))
    ]
    for image in images:
        theirs = processor(image, return_tensors="np", **overrides)["pixel_values"][0]
        pixels = prepare(backbone.preprocessing, image)
        ours = normalise(backbone.preprocessing, torch.from_numpy(pixels)[None])[0].numpy()
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 2e-6


def _save(folder: Path, make: Callable[[], tuple[Any, Any]]) -> Any:
    torch.manual_seed(0)
    model, processor = make()
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return model


def test_an_untrained_pooler_is_left_out_and_a_trained_one_used(tmp_path: Path) -> None:
    inputs = torch.randn(2, 3, 32, 32)
    model = _save(tmp_path / "classifier", _vit_classifier)
    backbone = from_transformers(tmp_path / "classifier")
    with torch.no_grad():
        hidden = model.vit(pixel_values=inputs).last_hidden_state
        assert torch.equal(backbone.module(inputs), hidden[:, 0])
    assert backbone.blocks[-1].name == "layernorm"
    model = _save(tmp_path / "pooler", _vit)
    backbone = from_transformers(tmp_path / "pooler")
    with torch.no_grad():
        assert torch.equal(backbone.module(inputs), model(pixel_values=inputs).pooler_output)
    assert backbone.blocks[-1].name == "pooler"


def test_weights_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    _save(tmp_path, _vit)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("layernorm.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackboneError, match=r"layernorm\.weight"):
        from_transformers(tmp_path)


def test_a_folder_without_processor_is_an_error(tmp_path: Path) -> None:
    _save(tmp_path, _vit)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(BackboneError, match="image processor") as caught:
        from_transformers(tmp_path)
    assert "preprocessor_config.json" in caught.value.hint


def test_a_preprocessing_that_cannot_be_reproduced_is_refused(tmp_path: Path) -> None:
    _save(tmp_path, _vit)
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rescale_factor": 1 / 127.5}))
    with pytest.raises(BackboneError, match="cannot be reproduced"):
        from_transformers(tmp_path)


def test_an_image_model_reads_no_text(tmp_path: Path) -> None:
    _save(tmp_path, _vit)
    with pytest.raises(BackboneError, match="reads no text"):
        from_transformers(tmp_path, readout="words")
    with pytest.raises(BackboneError, match="The data are texts"):
        load_backbone(str(tmp_path), modality="text")
