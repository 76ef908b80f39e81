"""Intervals cover the truth about 95 times in a hundred, and hold at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.evaluation.intervals import score
from cutpoint.types import Task

BINARY = Task(kind="binary", labels=("no", "yes"))


def _right_or_wrong(correct):
    """Targets 1 and probabilities that put class 1 first where `correct`."""
    column = np.where(correct, 0.9, 0.1).astype(np.float32)
    return np.ones(correct.shape[-1], dtype=np.int64), np.stack([1 - column, column], axis=-1)


def _coverage(task, draw, truth, rounds):
    random = np.random.default_rng(7)
    inside = 0
    for round_number in range(rounds):
        result = score(task, *draw(random), seed=round_number)
        inside += result.low <= truth <= result.high
    return inside / rounds


@pytest.mark.parametrize(("share", "examples"), [(0.5, 40), (0.9, 40), (0.8, 150), (0.97, 450)])
def test_wilson_covers_the_true_accuracy(share, examples):
    coverage = _coverage(
        BINARY, lambda random: _right_or_wrong(random.random(examples) < share), share, rounds=1000
    )
    print(f"Wilson, accuracy {share}, {examples} examples: {coverage:.3f}")
    assert 0.92 <= coverage <= 0.98


def _separated(random, examples=150):
    """Normal scores one deviation apart: area under the curve Phi(1 / sqrt 2) = 0.7602."""
    targets = random.integers(0, 2, examples)
    probability = 1 / (1 + np.exp(-(random.normal(size=examples) + targets)))
    return targets, np.stack([1 - probability, probability], axis=1).astype(np.float32)


def test_bootstrap_covers_the_true_area_under_the_curve():
    task = BINARY.model_copy(update={"metric": "roc_auc"})
    coverage = _coverage(task, _separated, 0.76025, rounds=120)
    print(f"BCa, area under the curve, 150 examples: {coverage:.3f}")
    assert 0.90 <= coverage <= 0.99


def test_bootstrap_covers_the_true_mean_error():
    def draw(random):
        return np.zeros(100, np.float32), random.exponential(size=(100, 1)).astype(np.float32)

    coverage = _coverage(Task(kind="regression", metric="mae"), draw, 1.0, rounds=300)
    print(f"BCa, mean of a skewed error, 100 examples: {coverage:.3f}")
    assert 0.90 <= coverage <= 0.98


def test_perfect_predictions_are_not_certain():
    targets, predictions = _right_or_wrong(np.ones(20, bool))
    for metric in ("accuracy", "f1_micro"):
        result = score(BINARY.model_copy(update={"metric": metric}), targets, predictions)
        assert result.value == result.high == 1.0
        assert 0.8 < result.low < 0.9


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro"])
def test_groups_widen_the_interval(metric):
    random = np.random.default_rng(0)
    correct = np.repeat(random.random(30) < 0.7, 20)
    targets, predictions = _right_or_wrong(correct)
    targets, predictions = targets.copy(), predictions.copy()
    flip = random.random(600) < 0.5
    targets[flip], predictions[flip] = 0, predictions[flip, ::-1]
    task = BINARY.model_copy(update={"metric": metric})
    alone = score(task, targets, predictions)
    grouped = score(task, targets, predictions, groups=np.repeat(np.arange(30), 20))
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro"])
def test_repeats_average_luck_but_not_examples(metric):
    """Ten repeats whose errors fall anew each time narrow the interval; ten equal ones do not."""
    random = np.random.default_rng(0)
    correct = random.random((10, 200)) < 0.7
    task = BINARY.model_copy(update={"metric": metric})
    targets, predictions = _right_or_wrong(correct)
    targets = targets.copy()
    targets[:100] = 0
    predictions[:, :100] = predictions[:, :100, ::-1]
    one = score(task, targets, predictions[0])
    equal = score(task, targets, np.repeat(predictions[:1], 10, axis=0))
    fresh = score(task, targets, predictions)
    assert (equal.low, equal.high) == pytest.approx((one.low, one.high))
    assert fresh.high - fresh.low < 0.5 * (one.high - one.low)
    assert fresh.n == 200


def test_same_seed_same_interval():
    targets, predictions = _separated(np.random.default_rng(0))
    task = BINARY.model_copy(update={"metric": "average_precision"})
    assert score(task, targets, predictions, seed=3) == score(task, targets, predictions, seed=3)
