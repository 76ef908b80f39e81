"""One door to every backbone, and the proof that a reloaded one is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cutpoint.backbones import hub, table
from cutpoint.backbones.digest import weights_digest
from cutpoint.backbones.load import load_backbone, load_reference
from cutpoint.backbones.order import block_parameters, uncovered_parameters
from cutpoint.backbones.table import automatic_backbone, known_backbones, reachable
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import ArtifactError, BackboneError
from cutpoint.features.cut import valid_cuts

import_torchvision()  # before the tests' own imports of timm


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from cutpoint.backbones import from_timm
    from cutpoint.backbones.from_transformers import loading

    for room in (hub, table, from_timm, loading):
        monkeypatch.setattr(room, "network_allowed", lambda: False)
        if hasattr(room, "is_cached"):
            monkeypatch.setattr(room, "is_cached", lambda _: False)


def test_the_embedded_backbone_is_whole() -> None:
    backbone = load_backbone("builtin:glyphs")
    assert valid_cuts(backbone).valid == tuple(range(len(backbone.blocks) + 1))
    assert uncovered_parameters(backbone) == ()
    assert all(block_parameters(backbone.module, block) for block in backbone.blocks)
    with torch.no_grad():
        assert backbone.module(torch.zeros(2, 1, 32, 32)).shape == (2, backbone.width)
    assert backbone.provenance.licence and backbone.provenance.trained_on
    assert load_reference(backbone.reference).reference == backbone.reference


@pytest.mark.parametrize(
    "name", ["mobilenetv2_100.ra_in1k", "timm:resnet18", "hf:google/vit-base-patch16-224"]
)
@pytest.mark.usefixtures("offline")
def test_without_a_network_a_hub_name_names_what_is_available(name: str) -> None:
    with pytest.raises(BackboneError) as caught:
        load_backbone(name)
    assert "builtin:glyphs" in caught.value.hint and "local folder" in caught.value.hint


def test_models_in_the_local_cache_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    snapshot = tmp_path / "models--timm--resnet18.a1_in1k" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "models--timm--resnet18.a1_in1k" / "refs").mkdir()
    (tmp_path / "models--timm--resnet18.a1_in1k" / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert hub.cached_repositories() == ("timm/resnet18.a1_in1k",)
    assert "timm/resnet18.a1_in1k" in hub.unreachable("x").hint


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenetv2_10", "mobilenetv2_100"),
        ("builtin:glyph", "builtin:glyphs"),
        ("google/vit-base", "hf:google/vit-base"),
        ("mobilenetv2_100.nonsense", "mobilenetv2_100.ra_in1k"),
    ],
)
def test_an_unknown_name_gets_a_way_out(name: str, expected: str) -> None:
    with pytest.raises(BackboneError) as caught:
        load_backbone(name)
    assert expected in caught.value.hint


def test_a_folder_without_a_backbone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"no config\.json"):
        load_backbone(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"colour": "blue"}))
    with pytest.raises(BackboneError, match="neither"):
        load_backbone(str(tmp_path))


def test_a_bare_module_is_sent_to_from_module() -> None:
    with pytest.raises(BackboneError, match="preprocessing"):
        load_backbone(torch.nn.Linear(2, 2))


def test_a_moved_folder_is_found_again_and_foreign_weights_are_refused(shared: Path) -> None:
    weights = shared / "weights"
    backbone = load_backbone(str(weights / "mobilenetv2_035_tm"), image_size=64)
    reloaded = load_reference(backbone.reference)
    assert reloaded.reference == backbone.reference and reloaded.preprocessing == backbone.preprocessing
    moved = backbone.reference.model_copy(update={"path": "/nowhere/at/all"})
    with pytest.raises(ArtifactError) as caught:
        load_reference(moved)
    assert "--backbone-path" in caught.value.hint
    assert load_reference(moved, weights / "mobilenetv2_035_tm").reference.digest == moved.digest
    with pytest.raises(ArtifactError) as caught:
        load_reference(moved, weights / "mobilenetv2_100_coral")
    other = load_backbone(str(weights / "mobilenetv2_100_coral")).reference.digest
    assert moved.digest in caught.value.message and other in caught.value.message


def test_the_table_can_be_read_and_names_what_can_be_loaded() -> None:
    import timm

    rows = {row.name: row for row in known_backbones()}
    assert (rows["ResNet-50"].parameters_million, rows["ResNet-50"].top1) == (25.6, 80.4)
    for row in rows.values():
        if row.loads and ":" not in row.loads:
            assert timm.models.is_model_pretrained(row.loads), row.loads
            with torch.device("meta"):
                model = timm.create_model(row.loads, pretrained=False)
            counted = sum(parameter.numel() for parameter in model.parameters()) / 1e6
            assert counted == pytest.approx(row.parameters_million, rel=0.01), row.name


@pytest.mark.usefixtures("offline")
def test_auto_without_a_network_is_the_embedded_backbone() -> None:
    assert (
        reachable("builtin:glyphs") and not reachable("resnet50.a1_in1k") and not reachable("no-such-thing")
    )
    assert automatic_backbone() == "builtin:glyphs"
    assert load_backbone("auto").name == "builtin:glyphs"


def test_auto_takes_the_smallest_that_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        table, "is_cached", lambda name: name in ("timm/resnet50.a1_in1k", "timm/efficientnet_b0.ra_in1k")
    )
    monkeypatch.setattr(table, "network_allowed", lambda: False)
    assert automatic_backbone() == "efficientnet_b0.ra_in1k"


def test_the_digest_sees_every_value_name_and_buffer() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    digest = weights_digest(network)
    assert digest == weights_digest(network) and len(digest) == 32
    with torch.no_grad():
        network[1].running_mean[0] += 1e-6
    assert weights_digest(network) != digest
    fixed = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(fixed.weight, 0.5)
    torch.nn.init.zeros_(fixed.bias)
    digest = weights_digest(fixed)
    assert weights_digest(torch.nn.Sequential(fixed)) != digest, "another name"
    assert weights_digest(fixed.to(torch.bfloat16)) != digest, "another dtype"
