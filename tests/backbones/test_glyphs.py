"""The embedded glyph network: small, whole, deterministic, free of digits, better than random weights."""

from __future__ import annotations

import importlib.util
import json
import unicodedata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cutpoint.backbones.glyphs.network as embedded
from cutpoint.backbones.glyphs.network import BLOCKS, WIDTH, GlyphNetwork

_PACKAGE = Path(embedded.__file__).parent
_RECIPE = Path(__file__).resolve().parents[2] / "pretraining"


@pytest.fixture(scope="module")
def config() -> dict[str, object]:
    """The network's own description."""
    return json.loads((_PACKAGE / "config.json").read_text())


@pytest.fixture(scope="module")
def pretrained() -> GlyphNetwork:
    """The network with the weights of the package."""
    network = GlyphNetwork().eval()
    network.load_state_dict(load_file(_PACKAGE / "weights.safetensors"))
    return network


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    """The recipe's list of characters."""
    specification = importlib.util.spec_from_file_location("characters", _RECIPE / "characters.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _scans(config: dict[str, object]) -> tuple[torch.Tensor, np.ndarray]:
    bundle = load_digits()
    grey = np.round(bundle.images * (255 / 16)).astype(np.uint8)
    side = config["size"]
    enlarged = [Image.fromarray(scan).resize((side, side), Image.Resampling.BILINEAR) for scan in grey]
    pictures = torch.from_numpy(np.stack(enlarged))[:, None].float() / 255
    return (pictures - config["mean"][0]) / config["std"][0], bundle.target


@torch.no_grad()
def _features(network: GlyphNetwork, inputs: torch.Tensor) -> np.ndarray:
    return torch.cat([network.eval()(part) for part in inputs.split(256)]).numpy()


def test_weights_are_small_float32_and_fit_the_network_exactly() -> None:
    weights = _PACKAGE / "weights.safetensors"
    assert weights.stat().st_size <= 2_000_000
    stored, fresh = load_file(weights), GlyphNetwork().state_dict()
    assert {name: tensor.shape for name, tensor in stored.items()} == {
        name: tensor.shape for name, tensor in fresh.items()
    }
    assert {tensor.dtype for name, tensor in stored.items() if "num_batches" not in name} == {torch.float32}
    assert all(bool(torch.isfinite(tensor).all()) for tensor in stored.values())


def test_config_describes_the_network(config: dict[str, object]) -> None:
    assert config["blocks"] == list(BLOCKS)
    assert config["width"] == WIDTH
    assert config["licence"] == "Apache-2.0"
    assert (_RECIPE.parent / str(config["recipe"])).is_file()


def test_blocks_hold_every_parameter_once_and_run_in_their_order(pretrained: GlyphNetwork) -> None:
    held = [parameter for name in BLOCKS for parameter in pretrained.get_submodule(name).parameters()]
    assert len({id(parameter) for parameter in held}) == len(held)
    assert {id(parameter) for parameter in held} == {id(parameter) for parameter in pretrained.parameters()}
    seen: list[str] = []
    handles = [
        pretrained.get_submodule(name).register_forward_hook(lambda *_, name=name: seen.append(name))
        for name in BLOCKS
    ]
    pretrained(torch.zeros(1, 1, 32, 32))
    for handle in handles:
        handle.remove()
    assert seen == list(BLOCKS)


def test_features_are_deterministic_and_do_not_depend_on_the_batch(pretrained: GlyphNetwork) -> None:
    inputs = torch.randn(8, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = _features(pretrained, inputs)
    assert whole.shape == (8, WIDTH)
    assert np.array_equal(whole, _features(pretrained, inputs))
    np.testing.assert_allclose(whole[:3], _features(pretrained, inputs[:3]), rtol=1e-4, atol=1e-5)
    assert whole.std(axis=0).max() > 0


def test_frozen_features_beat_random_weights_on_handwritten_digits(
    config: dict[str, object], pretrained: GlyphNetwork
) -> None:
    inputs, digits = _scans(config)
    generator = np.random.default_rng(0)
    per_digit = [np.flatnonzero(digits == digit) for digit in range(10)]
    rows = np.concatenate([generator.choice(found, 10, replace=False) for found in per_digit])
    rest = np.setdiff1d(np.arange(len(digits)), rows)

    def score(columns: np.ndarray) -> float:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        return float(probe.fit(columns[rows], digits[rows]).score(columns[rest], digits[rest]))

    torch.manual_seed(0)
    learned, random = score(_features(pretrained, inputs)), score(_features(GlyphNetwork(), inputs))
    assert learned > random + 0.1
    assert learned > 0.93


def test_no_digit_is_among_the_recipes_characters(recipe: ModuleType) -> None:
    names = recipe.characters()
    assert len(names) == len(set(names)) > 500
    assert all(unicodedata.numeric(character, None) is None for character in names)
    assert not any(unicodedata.category(character).startswith("N") for character in names)
    assert {"O", "l", "I"} <= set(names)


@pytest.mark.parametrize("character", ["7", "²", "₂", "①", "½", "Ⅳ", "٣", "७", "௧", "𝟗", "３", "三", "❷"])
def test_numbers_of_every_kind_are_recognised(recipe: ModuleType, character: str) -> None:
    assert recipe.is_number(character)


def test_no_learned_class_holds_a_digit(recipe: ModuleType) -> None:
    classes = json.loads((_RECIPE / "classes.json").read_text())
    learned = "".join(classes)
    assert len(classes) > 500
    assert set(learned) <= set(recipe.characters())
    assert not any(recipe.is_number(character) for character in learned)
