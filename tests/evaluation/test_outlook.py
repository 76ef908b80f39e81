"""What a short run promises: intervals hold, hopeless trials are told, equal ones are not worth finishing for long."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.evaluation.outlook import Finished, Finishing, outlook
from cutpoint.types import Score, Task

TASK = Task(kind="binary", labels=("no", "yes"))
FINISHING = Finishing(shrink=0.8, spread=0.25)


def _answers(random: np.random.Generator, targets: np.ndarray, accuracy: float) -> np.ndarray:
    right = random.random(len(targets)) < accuracy
    return np.eye(2, dtype=np.float32)[np.where(right, targets, 1 - targets)]


def _pair(seed: int, rows: int, short: float, leader: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = random.integers(0, 2, rows)
    return targets, _answers(random, targets, short), _answers(random, targets, leader)


def test_the_interval_covers_the_final_score() -> None:
    covered = 0
    for seed in range(200):
        random = np.random.default_rng(1000 + seed)
        accuracy = random.uniform(0.6, 0.9)
        targets, short, leader = _pair(seed, 200, accuracy, 0.8)
        found = outlook(TASK, targets, short, leader, finishing=FINISHING, min_gain=0.005, seed=seed)
        left = FINISHING.shrink * np.exp(FINISHING.spread * random.standard_normal())
        covered += found.low <= 1 - (1 - accuracy) * left <= found.high
    assert 0.9 <= covered / 200 <= 0.99


def test_a_trial_far_behind_promises_nothing() -> None:
    targets, short, leader = _pair(0, 200, 0.55, 0.9)
    found = outlook(TASK, targets, short, leader, finishing=FINISHING, min_gain=0.005)
    assert found.gain < 0.005
    assert found.chance < 0.05


def test_a_trial_ahead_already_promises_much() -> None:
    targets, short, leader = _pair(0, 200, 0.9, 0.75)
    found = outlook(TASK, targets, short, leader, finishing=FINISHING, min_gain=0.005)
    assert found.gain > 0.1
    assert found.chance > 0.95


def test_few_examples_leave_more_hope() -> None:
    found = [
        outlook(TASK, *_pair(3, rows, 0.7, 0.8), finishing=Finishing(1.0, 0.1), min_gain=0.005)
        for rows in (40, 4000)
    ]
    assert found[0].gain > found[1].gain


def test_without_a_leader_any_trial_gains() -> None:
    targets, short, _ = _pair(0, 100, 0.7, 0.8)
    found = outlook(TASK, targets, short, None, finishing=FINISHING, min_gain=0.005)
    assert found.gain == np.inf
    assert found.expected == pytest.approx(1 - 0.8 * np.mean(short.argmax(axis=1) != targets), abs=0.05)


def test_errors_shrink_toward_nought() -> None:
    random = np.random.default_rng(0)
    task = Task(kind="regression", metric="mae")
    targets = random.normal(size=200).astype(np.float32)
    short = (targets + 1.0)[:, None].astype(np.float32)
    leader = (targets + 0.9)[:, None].astype(np.float32)
    found = outlook(task, targets, short, leader, finishing=Finishing(0.8, 0.0), min_gain=0.005)
    assert found.expected == pytest.approx(0.8)
    assert found.gain == pytest.approx(0.1, abs=1e-5)


def test_finished_trials_teach_what_finishing_brings() -> None:
    prior = Finishing(shrink=0.8, spread=0.3, within=0.1)

    def score(value: float) -> Score:
        return Score(metric="accuracy", value=value, low=0.0, high=1.0, n=1000)

    taught = prior.learned_from([Finished(score(0.6), score(0.8))])
    assert 0.5 < taught.shrink < 0.6
    assert taught.spread < prior.spread
    few = [Score(metric="accuracy", value=value, low=0.0, high=1.0, n=10) for value in (0.6, 0.8)]
    assert prior.learned_from([Finished(*few)]).shrink > taught.shrink
    assert prior.learned_from([]) == prior
