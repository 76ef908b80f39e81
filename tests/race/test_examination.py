"""The test score of a head comes from features at hand, and only where the shipped model says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cutpoint.backbones.builtin import load_builtin
from cutpoint.data import load_dataset
from cutpoint.features.activations import PooledFeatures
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.heads.exact import fit_exact
from cutpoint.model import Model, Network
from cutpoint.planning.watcher import Watcher
from cutpoint.race.examination import examine

Made = tuple[FeatureBank, Model]


@pytest.fixture
def made(stripes: Path, tmp_path: Path) -> Made:
    """A probe of striped pictures, more of them in the test split than the model is asked about."""
    dataset, backbone = load_dataset(str(stripes), test_fraction=0.8), load_builtin()
    bank = FeatureBank(backbone, dataset, dataset.splits["train"], ActivationCache(tmp_path))
    head = fit_exact(bank.pooled().final, dataset.targets[bank.rows], dataset.task).head
    model = Model(
        backbone, Network(backbone.module, head), dataset.task, "linear-probe", len(backbone.blocks)
    )
    return bank, model


def expected(bank: FeatureBank, model: Model) -> Any:
    """What the model says of the test rows from their files."""
    return model.predict_scores([bank.dataset.inputs[int(row)] for row in bank.dataset.splits["test"]])


def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many inputs the model is asked about, call by call."""
    counts: list[int] = []
    whole = Model.predict_scores

    def counted(self: Model, inputs: Any, **options: Any) -> Any:
        counts.append(len(inputs))
        return whole(self, inputs, **options)

    monkeypatch.setattr(Model, "predict_scores", counted)
    return counts


def test_a_head_answers_on_the_features_of_the_bank(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    bank, model = made
    truth = expected(bank, model)
    counts = asked(monkeypatch)
    found = examine(model, bank, Watcher())
    assert counts == [32] and len(truth) > 32
    assert found.predictions is not None and found.score is not None
    np.testing.assert_allclose(found.predictions, truth, atol=1e-5)


def test_a_model_that_answers_otherwise_is_asked_about_all(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, model = made
    truth, right = expected(bank, model), FeatureBank.pooled

    def upside_down(self: FeatureBank) -> PooledFeatures:
        found = right(self)
        return PooledFeatures(found.final[::-1].copy(), found.blocks)

    monkeypatch.setattr(FeatureBank, "pooled", upside_down)
    counts = asked(monkeypatch)
    found = examine(model, bank, Watcher()).predictions
    assert found is not None and np.array_equal(found, truth)
    assert counts == [32, len(truth)]


def test_where_blocks_trained_the_model_itself_answers(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    bank, model = made
    model.cut = 1
    counts = asked(monkeypatch)
    examine(model, bank, Watcher())
    assert counts == [len(bank.dataset.splits["test"])]
