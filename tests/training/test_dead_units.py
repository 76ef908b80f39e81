"""A head that is trained on with its network gives no weight to units that say nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from cutpoint.training.dead_units import hold_still

DATA: Any = SimpleNamespace(bank=SimpleNamespace(backbone=SimpleNamespace(blocks=("one", "two"))))


def test_dead_units_stand_still_where_blocks_train() -> None:
    features = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1.0, 1e-33, 0.1]
    )
    held = hold_still(features, SimpleNamespace(cut=1), DATA)  # type: ignore[arg-type]
    assert torch.equal(held[:, [0, 2]], features[:, [0, 2]])
    assert len(held[:, 1].unique()) == 1


def test_nothing_is_changed_where_the_backbone_stays_frozen() -> None:
    features = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1e8, 1.0])
    assert hold_still(features, SimpleNamespace(cut=2), DATA) is features  # type: ignore[arg-type]
