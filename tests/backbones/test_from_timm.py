"""timm backbones: weights, blocks, preprocessing, and what is said when they cannot be had."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.from_timm import from_timm
from cutpoint.backbones.inputs import ImageInputs
from cutpoint.backbones.order import uncovered_parameters
from cutpoint.backbones.preprocessing import normalise, prepare
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import BackboneError

import_torchvision()  # before the tests' own imports of timm

SIZES = [(96, 96), (61, 40), (40, 61), (301, 229), (227, 640), (1000, 333)]


def _photos(shared: Path) -> list[Image.Image]:
    folder = shared / "data" / "vision"
    files = [*sorted((folder / "clothing10" / "test").rglob("*.jpg"))[::80]]
    files += [
        file for name in ("deeppcb6", "bccd3") for file in sorted((folder / name / "test").glob("*/*"))[:2]
    ]
    assert len(files) > 8
    return [Image.open(file).convert("RGB") for file in files]


def _noise() -> list[Image.Image]:
    random = np.random.default_rng(5)
    return [
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in SIZES
    ]


def _assert_equal_to_timm(backbone: Backbone, images: list[Image.Image], **resolved: object) -> None:
    from timm.data import create_transform

    raw = create_transform(**resolved, is_training=False, normalize=False)
    whole = create_transform(**resolved, is_training=False)
    for image in images:
        pixels = prepare(backbone.preprocessing, image)
        assert np.array_equal(pixels, raw(image).numpy()), image.size
        ours = normalise(backbone.preprocessing, torch.from_numpy(pixels)[None])[0]
        assert (ours - whole(image)).abs().max() <= 1e-6


@pytest.mark.parametrize("name", ["mobilenetv2_035_tm", "mobilenetv2_100_coral"])
def test_a_local_folder_gives_the_pretrained_features(shared: Path, name: str) -> None:
    import timm

    folder = shared / "weights" / name
    backbone = from_timm(folder)
    configuration = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    reference = timm.create_model(configuration["architecture"], **configuration["timm_kwargs"]).eval()
    reference.load_state_dict(weights)
    inputs = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = reference.forward_head(reference.forward_features(inputs), pre_logits=True)
        assert torch.equal(backbone.module(inputs), expected)
    assert backbone.width == 1280 and len(backbone.blocks) == 19
    assert uncovered_parameters(backbone) == ()
    assert backbone.provenance.licence is not None and "Apache-2.0" in backbone.provenance.licence
    assert backbone.reference.name == name and backbone.reference.path == str(folder.resolve())


@pytest.mark.parametrize("size", [None, 96, 160])
def test_preprocessing_equals_timms_on_real_and_odd_images(shared: Path, size: int | None) -> None:
    from timm.data import resolve_data_config

    folder = shared / "weights" / "mobilenetv2_035_tm"
    backbone = from_timm(folder, image_size=size)
    stated = json.loads((folder / "config.json").read_text())
    resolved = resolve_data_config({"img_size": size} if size else {}, pretrained_cfg=stated)
    _assert_equal_to_timm(backbone, [*_photos(shared), *_noise()], **resolved)


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "vit_base_patch16_siglip_224"])
def test_preprocessing_equals_timms_for_other_recipes(name: str) -> None:
    """Bilinear and bicubic, crops of 0.875 to 1, the aspect kept or squashed."""
    import timm
    from timm.data import resolve_data_config

    from cutpoint.backbones.from_timm import _preprocessing

    configuration = timm.get_pretrained_cfg(name).to_dict()
    backbone = from_timm("resnet10t", pretrained=False, image_size=32)
    record = _preprocessing(configuration, None)
    changed = Backbone(**{**vars(backbone), "inputs": ImageInputs(record)})
    _assert_equal_to_timm(changed, _noise(), **resolve_data_config(pretrained_cfg=configuration))


def test_timms_own_layout_is_read(tmp_path: Path) -> None:
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(0)
    model = timm.create_model("mobilenetv3_small_050", num_classes=7).eval()
    save_for_hf(model, tmp_path, safe_serialization=True)
    backbone = from_timm(tmp_path)
    inputs = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(inputs), pre_logits=True)
        assert torch.equal(backbone.module(inputs), expected)
    assert backbone.preprocessing.mean == tuple(model.pretrained_cfg["mean"])


def test_the_vit_of_another_size_keeps_its_blocks_and_runs() -> None:
    backbone = from_timm("vit_tiny_patch16_224", pretrained=False, image_size=64)
    assert backbone.preprocessing.size == (64, 64) and backbone.preprocessing.resize == 71
    assert backbone.blocks[0].members == ("cls_token", "pos_embed", "patch_embed")
    with torch.no_grad():
        assert backbone.module(torch.zeros(1, 3, 64, 64)).shape == (1, 192)
        assert backbone.rebuild()(torch.zeros(1, 3, 64, 64)).shape == (1, 192)


def test_rebuild_draws_other_weights_for_the_same_architecture(shared: Path) -> None:
    backbone = from_timm(shared / "weights" / "mobilenetv2_035_tm")
    torch.manual_seed(1)
    first = backbone.rebuild()
    torch.manual_seed(1)
    again = backbone.rebuild()
    names = list(backbone.module.state_dict())
    assert list(first.state_dict()) == names
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    pretrained = backbone.module.get_submodule("conv_head").weight
    assert not torch.equal(first.get_submodule("conv_head").weight, pretrained)


# --------------------------------------------------------------------------------------------- bad folders


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "backbone"
    shutil.copytree(shared / "weights" / "mobilenetv2_035_tm", copy)
    copy.chmod(0o755)
    for file in copy.iterdir():
        file.chmod(0o644)
    return copy


def _change(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_another_width_of_the_same_architecture_is_an_error(folder: Path) -> None:
    _change(folder, architecture="mobilenetv2_050")
    with pytest.raises(BackboneError, match="do not fit the architecture"):
        from_timm(folder)


def test_a_missing_and_a_foreign_weight_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["neck.weight"] = weights.pop("conv_head.weight")
    save_file(weights, path)
    with pytest.raises(BackboneError, match=r"conv_head\.weight.*neck\.weight"):
        from_timm(folder)


def test_a_truncated_weight_file_is_an_error(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BackboneError, match="cannot be read"):
        from_timm(folder)


def test_an_unknown_architecture_gives_close_names(folder: Path) -> None:
    _change(folder, architecture="mobilenet_v2_035")
    with pytest.raises(BackboneError, match="mobilenetv2_035"):
        from_timm(folder)


def test_a_broken_config_is_an_error(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(BackboneError, match=r"config\.json cannot be read"):
        from_timm(folder)


def test_a_wrong_argument_for_the_architecture_is_an_error(folder: Path) -> None:
    _change(folder, timm_kwargs={"colour": "blue"})
    with pytest.raises(BackboneError, match="colour"):
        from_timm(folder)


def test_a_size_that_the_architecture_forbids_is_an_error() -> None:
    with pytest.raises(BackboneError):
        from_timm("vit_tiny_patch16_224", pretrained=False, image_size=3)
