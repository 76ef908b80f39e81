"""Findings fire on planted faults and are silent on sound runs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cutpoint.backbones.vectors import STATISTICS_NAME
from cutpoint.data import load_dataset
from cutpoint.planning.judging import plan_judging
from cutpoint.planning.settings import Settings
from cutpoint.race.examination import Examination
from cutpoint.race.findings import race_findings
from cutpoint.types import Retention, Score, Trial

DATASET = load_dataset(np.random.default_rng(0).normal(size=(400, 2)), targets=["a", "b"] * 200)
JUDGING = plan_judging(DATASET, Settings())
TARGETS = DATASET.targets[JUDGING.judged]


def answers(accuracy: float, seed: int) -> NDArray[np.float32]:
    right = np.random.default_rng(seed).random(len(TARGETS)) < accuracy
    guess = np.where(right, TARGETS, 1 - TARGETS)
    return np.eye(2, dtype=np.float32)[guess][None]


def trial(name: str, backbone: str, value: float, init: str = "pretrained") -> Trial:
    score = Score(metric="accuracy", value=value, low=value - 0.03, high=value + 0.03, n=len(TARGETS))
    return Trial(
        id=name,
        regime=name,
        backbone=backbone,
        status="finished",
        validation=score,
        recipe={"regime": {"init": init}},
    )


def codes(probe: float, statistics: float, scratch: float, test: float | None = None) -> set[str]:
    trials = [
        trial("linear-probe", "net", probe),
        trial("image-statistics", STATISTICS_NAME, statistics),
        trial("scratch", "net", scratch, init="random"),
    ]
    given = {
        one.id: answers(value, seed)
        for seed, (one, value) in enumerate(zip(trials, (probe, statistics, scratch), strict=True))
    }
    judged = (
        None
        if test is None
        else Score(metric="accuracy", value=test, low=test - 0.02, high=test + 0.02, n=80)
    )
    found = race_findings(DATASET, JUDGING, trials, given, trials[0], Examination(judged, None, (), None))
    return {finding.code for finding in found}


@pytest.mark.parametrize(("high", "told"), [(-0.01, True), (0.01, False)])
def test_a_clear_loss_on_the_reference_is_told(high: float, told: bool) -> None:
    score = Score(metric="accuracy", value=0.8, low=0.7, high=0.9, n=80)
    lost = Retention(
        metric="accuracy",
        reference="old.csv",
        before=score,
        after=score,
        change=-0.05,
        low=-0.1,
        high=high,
        sentence="accuracy on old.csv: worse.",
    )
    winner = trial("full", "net", 0.9).model_copy(update={"retention": lost})
    nothing = Examination(None, None, (), None)
    found = race_findings(DATASET, JUDGING, [winner], {"full": answers(0.9, 0)}, winner, nothing)
    assert ("forgetting" in {finding.code for finding in found}) == told


def test_sound_run_is_silent() -> None:
    assert codes(0.95, 0.7, 0.6, test=0.94) == set()


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ((0.7, 0.6, 0.9), "negative-transfer"),
        ((0.7, 0.72, 0.5), "distant-domain"),
        ((0.97, 0.98, 0.6), "easy-task"),
    ],
)
def test_planted_faults_are_found(values: tuple[float, float, float], code: str) -> None:
    assert code in codes(*values)


def test_test_score_below_the_validation_interval_is_told() -> None:
    assert "test-below-validation" in codes(0.95, 0.7, 0.6, test=0.8)


def test_probabilities_that_promise_too_much_are_told() -> None:
    rows = len(DATASET.splits["test"])
    sure_and_wrong = np.tile(np.array([[0.99, 0.01]], dtype=np.float32), (rows, 1))
    judged = Examination(None, None, (), sure_and_wrong)
    found = race_findings(DATASET, JUDGING, [], {}, trial("p", "net", 0.9), judged)
    assert "overconfident" in {finding.code for finding in found}


def test_few_labels_are_told() -> None:
    small = load_dataset(np.random.default_rng(0).normal(size=(30, 2)), targets=["a", "b"] * 15)
    judging = plan_judging(small, Settings())
    found = race_findings(small, judging, [], {}, trial("p", "net", 0.9), Examination(None, None, (), None))
    assert {finding.code for finding in found} == {"few-labels"}


@pytest.mark.parametrize(("test", "told"), [(1.2, True), (0.2, False)])
def test_of_errors_a_greater_one_on_the_test_split_is_told(test: float, told: bool) -> None:
    winner = trial("p", "net", 0.7)
    assert winner.validation is not None
    winner = winner.model_copy(
        update={"validation": winner.validation.model_copy(update={"metric": "log_loss"})}
    )
    score = Score(metric="log_loss", value=test, low=test - 0.1, high=test + 0.1, n=80)
    found = race_findings(DATASET, JUDGING, [], {}, winner, Examination(score, None, (), None))
    assert ("test-below-validation" in {finding.code for finding in found}) == told
