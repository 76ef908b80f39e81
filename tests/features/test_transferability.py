"""LogME is the evidence it claims to be; both scores rank features and keep their invariances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf, ledoit_wolf_shrinkage
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from cutpoint.features.transferability import h_score, logme
from cutpoint.types import Task

DIGITS = Task(kind="multiclass", labels=tuple("0123456789"))
VALUES = Task(kind="regression", metric="r2")


def _digits(rows=500):
    images, digits = load_digits(return_X_y=True)
    return images[:rows] / 16, digits[:rows]


def _best_evidence(features, target):
    """The same maximum by brute force: a general optimiser over the full covariance of the rows."""
    kernel, rows = features @ features.T, len(target)

    def negative(logs):
        covariance = kernel * np.exp(logs[0]) + np.eye(rows) * np.exp(logs[1])
        return -multivariate_normal(np.zeros(rows), covariance).logpdf(target) / rows

    return -min(minimize(negative, start, method="Nelder-Mead").fun for start in ([0, 0], [-3, -1], [-1, -3]))


@pytest.mark.parametrize("width", [5, 60], ids=["tall", "wide"])
def test_logme_is_the_maximum_of_the_evidence(width):
    random = np.random.default_rng(0)
    features = random.normal(size=(40, width)) * np.linspace(0.2, 2, width)
    values = features[:, :3] @ [1.0, -2.0, 0.5] + 0.3 * random.normal(size=40)
    assert logme(features, values, VALUES) == pytest.approx(_best_evidence(features, values), abs=2e-3)


def test_logme_of_classes_is_the_mean_over_them():
    random = np.random.default_rng(1)
    features, targets = random.normal(size=(30, 4)), random.integers(0, 2, 30)
    features[:, 0] += 2 * targets
    each = [_best_evidence(features, (targets == label).astype(float)) for label in range(2)]
    task = Task(kind="binary", labels=("a", "b"))
    assert logme(features, targets, task) == pytest.approx(np.mean(each), abs=2e-3)
    one_hot = np.eye(2)[targets].astype(np.float32)
    assert logme(features, one_hot, Task(kind="multilabel", labels=("a", "b"))) == pytest.approx(
        logme(features, targets, task)
    )


def test_h_score_equals_its_definition():
    features, targets = _digits()
    shrunk = LedoitWolf().fit(features)
    means = np.stack([features[targets == digit].mean(axis=0) for digit in range(10)])[targets]
    between = np.cov(means.T, bias=True)
    shrinkage = ledoit_wolf_shrinkage(features)
    expected = (1 - shrinkage) * np.trace(np.linalg.pinv(shrunk.covariance_) @ between)
    assert h_score(features, targets) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("score", [lambda f, y: logme(f, y, DIGITS), h_score], ids=["LogME", "H-score"])
def test_scores_rank_features_as_a_probe_does(score):
    """Digits seen ever less clearly, down to none at all."""
    images, digits = _digits()
    noise = np.random.default_rng(0).normal(size=images.shape)
    versions = [images * clear + noise * (1 - clear) for clear in (1.0, 0.7, 0.5, 0.4, 0.0)]
    scores = [score(version, digits) for version in versions]
    probe = LogisticRegression(C=0.1, max_iter=500)
    accuracies = [cross_val_score(probe, version, digits, cv=3).mean() for version in versions]
    assert accuracies == sorted(accuracies, reverse=True)
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("score", [lambda f, y: logme(f, y, DIGITS), h_score], ids=["LogME", "H-score"])
@pytest.mark.parametrize("width", [64, 700], ids=["tall", "wide"])
def test_scores_do_not_see_rotation_scale_or_the_order_of_rows(score, width):
    images, digits = _digits(300)
    random = np.random.default_rng(0)
    features = images if width == 64 else np.maximum(images @ random.normal(size=(64, width)), 0)
    rotation = np.linalg.qr(random.normal(size=(width, width)))[0]
    order = random.permutation(300)
    plain = score(features, digits)
    assert score(features @ rotation * 7, digits) == pytest.approx(plain, rel=1e-3)
    assert score(features[order], digits[order]) == pytest.approx(plain, rel=1e-6)


def test_logme_of_values():
    features, values = load_diabetes(return_X_y=True)
    standard = (values - values.mean()) / values.std()
    shuffled = np.random.default_rng(0).permutation(features)
    assert logme(features, standard, VALUES) > logme(shuffled, standard, VALUES) + 0.2


def test_features_that_say_nothing():
    targets = np.arange(40) % 2
    assert h_score(np.ones((40, 3)), targets) == 0.0
    task = Task(kind="binary", labels=("a", "b"))
    informative = np.eye(2)[targets] + 0.1 * np.random.default_rng(0).normal(size=(40, 2))
    assert logme(np.zeros((40, 3)), targets, task) < logme(informative, targets, task)
