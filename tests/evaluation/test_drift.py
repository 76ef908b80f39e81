"""Features that stay, turn or go."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.evaluation.drift import drift_finding, feature_drift, linear_cka
from cutpoint.types import Retention, Score

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(60, 200)) * np.linspace(3, 0.1, 200)


def _retention(change: float) -> Retention:
    score = Score(metric="accuracy", value=0.8, low=0.7, high=0.9, n=80)
    low, high = change - 0.02, change + 0.02
    return Retention(
        metric="accuracy",
        reference="old",
        before=score,
        after=score,
        change=change,
        low=low,
        high=high,
        sentence="it.",
    )


def test_turned_scaled_and_shifted_features_are_the_same():
    turned, _ = np.linalg.qr(RANDOM.normal(size=(200, 200)))
    assert linear_cka(FEATURES, 7.0 * FEATURES @ turned + 3.0) == pytest.approx(1.0)
    assert feature_drift(FEATURES, FEATURES) == pytest.approx(0.0, abs=1e-9)


def test_unrelated_features_are_unlike_even_where_they_are_wider_than_examples_are_many():
    others = np.random.default_rng(1).normal(size=(60, 500))
    assert abs(linear_cka(FEATURES, others)) < 0.1
    assert feature_drift(FEATURES, others) > 0.9


def test_the_more_noise_the_farther():
    noise = np.random.default_rng(2).normal(size=FEATURES.shape)
    drifts = [feature_drift(FEATURES, FEATURES + size * noise) for size in (0.1, 1.0, 10.0)]
    assert drifts == sorted(drifts) and drifts[0] < 0.1 < 0.8 < drifts[2]


def test_features_without_variance_are_like_none():
    assert linear_cka(FEATURES, np.ones((60, 4))) == 0.0


@pytest.mark.parametrize(
    ("drift", "retention", "severity"),
    [
        (None, _retention(-0.1), None),
        (0.2, _retention(-0.1), None),
        (0.8, None, "info"),
        (0.8, _retention(0.0), "info"),
        (0.8, _retention(-0.1), "warning"),
    ],
)
def test_drift_alone_is_no_warning(drift, retention, severity):
    found = drift_finding(drift, retention)
    assert (found.severity if found else None) == severity
    if found is not None:
        assert ("--reference" in found.remedy) == (retention is None)
