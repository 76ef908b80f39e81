"""What is timed before the plan, and what is not because it does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tiny_texts
from cutpoint.backbones.load import load_backbone
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.planning import calibration as room
from cutpoint.planning.calibration import calibrate
from cutpoint.types import Dataset, Task


@pytest.fixture
def bank(tmp_path: Path) -> FeatureBank:
    labels = np.arange(30) % 3
    dataset = Dataset(
        source="generated",
        modality="text",
        task=Task(kind="multiclass", labels=("a", "b", "c")),
        inputs=tiny_texts.texts_of_animals(labels),
        targets=labels,
        splits={"train": np.arange(30)},
        keys=tuple(map(str, range(30))),
        names=tuple(map(str, range(30))),
    )
    encoder = load_backbone(tiny_texts.save_encoder(tmp_path / "encoder"))
    return FeatureBank(encoder, dataset, np.arange(30), ActivationCache(tmp_path / "cache"))


def test_a_step_of_the_whole_network_is_not_tried_where_it_does_not_fit(
    bank: FeatureBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, device = bank.dataset.task, torch.device("cpu")
    timed = calibrate(bank, bank.targets, task, device)
    assert timed.activation_bytes > 0 and timed.step_seconds > 0
    layers = {name: p.numel() for name, p in bank.backbone.module.named_parameters() if p.ndim == 2}
    assert timed.linear_weights == sum(n for name, n in layers.items() if "embeddings" not in name)

    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError("planted")

    monkeypatch.setattr(room, "available_memory", lambda device: timed.parameters * 15)
    monkeypatch.setattr(room, "_training_step", refuse)
    small = calibrate(bank, bank.targets, task, device)
    assert small.step_seconds == pytest.approx(3 * small.forward_seconds)
    assert small.activation_bytes == timed.activation_bytes
    assert small.available_bytes == timed.parameters * 15
