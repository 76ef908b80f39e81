"""The estimators keep scikit-learn's contract, and answer well on its data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import cutpoint
from cutpoint.estimators import CutpointClassifier, CutpointRegressor


@parametrize_with_checks([CutpointClassifier(), CutpointRegressor()])
def test_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_public_names_are_these():
    assert cutpoint.CutpointClassifier is CutpointClassifier
    assert cutpoint.CutpointRegressor is CutpointRegressor


def test_digits_as_well_as_a_tuned_logistic_regression():
    images, digits = load_digits(return_X_y=True)
    ours = cross_val_score(CutpointClassifier(), images, digits, cv=3).mean()
    tuned = max(
        cross_val_score(
            make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)),
            images,
            digits,
            cv=3,
        ).mean()
        for strength in (0.01, 0.1, 1.0)
    )
    assert ours >= tuned - 0.005


def test_diabetes_as_well_as_ridge():
    features, values = load_diabetes(return_X_y=True)
    ours = cross_val_score(CutpointRegressor(), features, values, cv=3).mean()
    plain = cross_val_score(make_pipeline(StandardScaler(), Ridge()), features, values, cv=3).mean()
    assert ours >= plain - 0.01


def test_labels_come_back_as_given_and_weights_lift_the_rare_class():
    images, digits = load_digits(return_X_y=True)
    rows = np.r_[np.flatnonzero(digits == 8)[:12], np.flatnonzero(digits == 3)[:150]]
    noisy = images[rows] + 12 * np.random.default_rng(0).normal(size=(162, 64))
    names = np.where(digits[rows] == 8, "eight", "three")
    plain = CutpointClassifier().fit(noisy, names)
    balanced = CutpointClassifier(class_weight="balanced").fit(noisy, names)
    assert plain.classes_.tolist() == ["eight", "three"]
    assert set(plain.predict(noisy)) <= {"eight", "three"}
    assert balanced.predict_proba(noisy)[:, 0].mean() > 1.5 * plain.predict_proba(noisy)[:, 0].mean()


def test_search_and_clone():
    images, digits = load_digits(return_X_y=True)
    search = GridSearchCV(CutpointClassifier(inner_folds=2), {"strengths": [(1e-5,), (0.1,)]}, cv=2)
    search.fit(images[:200], digits[:200])
    assert search.best_params_ == {"strengths": (0.1,)}
    assert clone(search.best_estimator_).inner_folds == 2


def test_groups_are_heeded():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 10)
    labels = random.integers(0, 2, 20)[groups]
    features = random.normal(size=(20, 30))[groups] + 0.1 * random.normal(size=(200, 30))
    apart = CutpointClassifier().fit(features, labels)
    together = CutpointClassifier().fit(features, labels, groups=groups)
    assert together.strength_ < apart.strength_


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="one class alone"):
        CutpointClassifier().fit(np.ones((4, 2)), ["a"] * 4)
