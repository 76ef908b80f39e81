"""A head that is trained on with its network gives no weight to units that say nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from cutpoint.training.dead_units import hold_still

DATA: Any = SimpleNamespace(bank=SimpleNamespace(backbone=SimpleNamespace(blocks=("one", "two"))))


def test_dead_units_stand_still_where_blocks_train() -> None:
    features = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    features *= np.array([1.0, 1e-33, 0.1], dtype=np.float32)
    held = hold_still(features, SimpleNamespace(cut=1), DATA)  # type: ignore[arg-type]
    assert held.shape == (len(held), 3) == (50, 3)
    assert np.array_equal(held[:][:, [0, 2]], features[:, [0, 2]])
    assert len(np.unique(held[:][:, 1])) == 1
    assert np.array_equal(held[np.array([7, 3])], held[:][[7, 3]])


def test_live_units_are_left_as_they_are() -> None:
    features = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    assert hold_still(features, SimpleNamespace(cut=1), DATA) is features  # type: ignore[arg-type]


def test_nothing_is_changed_where_the_backbone_stays_frozen() -> None:
    features = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32) * np.array([1e8, 1.0])
    assert hold_still(features, SimpleNamespace(cut=2), DATA) is features  # type: ignore[arg-type]
