"""Probabilities that mean what they say have no calibration error; sharpened ones are found out."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.errors import DataError
from cutpoint.evaluation.calibration import calibrate, overconfidence
from cutpoint.types import Task

CLASSES = Task(kind="multiclass", labels=("a", "b", "c"))


def _honest(rows=20_000):
    random = np.random.default_rng(0)
    logits = random.normal(size=(rows, 3)) * 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (random.random((rows, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return targets, logits, probabilities.astype(np.float32)


def test_honest_probabilities():
    targets, _, probabilities = _honest()
    found = calibrate(CLASSES, targets, probabilities)
    assert found.error < 0.015
    assert found.confidence == pytest.approx(found.accuracy, abs=0.01)
    assert overconfidence(found) is None


def test_sharpened_probabilities_are_overconfident():
    targets, logits, _ = _honest()
    sharp = np.exp(4 * logits)
    found = calibrate(CLASSES, targets, (sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32))
    assert found.error == pytest.approx(found.confidence - found.accuracy, abs=0.01)
    finding = overconfidence(found)
    assert finding is not None and f"mean confidence {100 * found.confidence:.1f} %" in finding.evidence


def test_worked_by_hand():
    predictions = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]], dtype=np.float32)
    found = calibrate(Task(kind="binary", labels=("no", "yes")), np.array([0, 1, 1, 1]), predictions)
    assert found.error == pytest.approx((abs(0.5 - 0.9) + abs(1 - 0.6)) / 2)
    assert (found.confidence, found.accuracy) == (pytest.approx(0.75), 0.75)


def test_labels_are_counted_one_by_one():
    task = Task(kind="multilabel", labels=("x", "y"))
    predictions = np.array([[1.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    assert calibrate(task, np.array([[1, 0], [0, 1]], dtype=np.float32), predictions).accuracy == 0.75


@pytest.mark.parametrize("kind", ["regression", "tagging", "language"])
def test_values_tags_and_texts_have_no_calibration(kind):
    with pytest.raises(DataError, match="nothing to calibrate"):
        calibrate(Task(kind=kind), np.zeros(2), np.zeros((2, 1)))
