"""The excess of the best of several scores: what is said matches what simulation shows."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.evaluation.selection import optimism
from cutpoint.types import Task

TASK = Task(kind="binary", labels=("no", "yes"))


def _answers(random: np.random.Generator, targets: np.ndarray, accuracy: float) -> np.ndarray:
    right = random.random(len(targets)) < accuracy
    return np.eye(2, dtype=np.float32)[np.where(right, targets, 1 - targets)]


@pytest.mark.parametrize("trials", [1, 6])
def test_the_stated_excess_is_the_true_one(trials: int) -> None:
    rows, accuracy, stated, true = 150, 0.8, [], []
    for seed in range(40):
        random = np.random.default_rng(seed)
        targets = random.integers(0, 2, rows)
        found = {str(number): _answers(random, targets, accuracy) for number in range(trials)}
        best = max(np.mean(answers.argmax(axis=1) == targets) for answers in found.values())
        stated.append(optimism(TASK, targets, found, seed=seed))
        true.append(best - accuracy)
    assert np.mean(stated) == pytest.approx(np.mean(true), abs=0.012)


def test_a_clear_winner_is_not_flattered() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 400)
    found = {"good": _answers(random, targets, 0.95), "poor": _answers(random, targets, 0.6)}
    assert optimism(TASK, targets, found) < 0.005


def test_less_is_better_too() -> None:
    random = np.random.default_rng(0)
    task = Task(kind="regression", metric="mae")
    targets = random.normal(size=100).astype(np.float32)
    found = {str(n): (targets + random.normal(size=100))[:, None].astype(np.float32) for n in range(5)}
    assert 0 < optimism(task, targets, found) < 0.2
