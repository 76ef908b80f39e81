"""Boosted trees answer as scikit-learn's do, from tensors alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier

from cutpoint.errors import DataError
from cutpoint.evaluation.metrics import METRICS
from cutpoint.heads.boosting import DEFAULT_ITERATIONS, _Booster, fit_trees
from cutpoint.heads.modules import predict_scores
from cutpoint.heads.trees import ITERATIONS, TreesHead
from cutpoint.types import Task

BINARY = Task(kind="binary", labels=("malignant", "benign"))
MULTICLASS = Task(kind="multiclass", labels=("a", "b", "c"))
REGRESSION = Task(kind="regression", metric="r2")


def rows_of(load: Callable[..., Any]) -> tuple[np.ndarray, np.ndarray]:
    features, targets = load(return_X_y=True)
    return features.astype(np.float32), targets


def scores(head: TreesHead, task: Task, features: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return predict_scores(task, head(torch.from_numpy(features))).numpy()


@pytest.fixture(scope="module")
def fitted(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """(task, loader) → features, targets, the fit and the estimators that it grew; made once."""
    made: dict[str, Any] = {}

    def fit(task: Task, load: Callable[..., Any]) -> Any:
        if task.kind not in made:
            grown: list[_Booster] = []
            with pytest.MonkeyPatch.context() as patch:
                original = _Booster.__init__

                def note(self: _Booster, *given: Any) -> None:
                    original(self, *given)
                    grown.append(self)

                patch.setattr(_Booster, "__init__", note)
                features, targets = rows_of(load)
                made[task.kind] = (features, targets, fit_trees(features, targets, task), grown[-1].estimator)
        return made[task.kind]

    return fit


@pytest.mark.parametrize(
    ("task", "load"), [(BINARY, load_breast_cancer), (MULTICLASS, load_wine), (REGRESSION, load_diabetes)]
)
def test_predictions_are_those_of_scikit_learn(task: Task, load: Any, fitted: Callable[..., Any]) -> None:
    features, targets, fit, estimator = fitted(task, load)
    holes = features.copy()
    holes[::3, ::2] = np.nan
    for rows in (features, holes):
        own = scores(fit.head, task, rows)
        if task.kind == "regression":
            own, theirs = (own - targets.mean()) / targets.std(), estimator.predict(rows)[:, None]
        else:
            theirs = estimator.predict_proba(rows)
        np.testing.assert_allclose(own, theirs, rtol=0, atol=1e-6)


def test_thresholds_split_rows_that_lie_on_them_as_scikit_learn_does() -> None:
    """Whole numbers far beyond float32's exact ones, and halves between neighbours."""
    values = np.repeat(np.arange(2**24 - 20, 2**24 + 20, dtype=np.float64), 4).astype(np.float32)[:, None]
    targets = (values[:, 0] > 2**24 - 5).astype(np.int64)
    head = fit_trees(values, targets, BINARY).head
    assert (scores(head, BINARY, values).argmax(1) == targets).all()
    estimator = HistGradientBoostingClassifier(max_leaf_nodes=4, max_iter=1, early_stopping=False)
    nodes = estimator.fit(values, targets)._predictors[0][0].nodes
    at_threshold = nodes["num_threshold"][:1].astype(np.float32)[:, None]
    alone = TreesHead(1, 1)
    alone.put(0, nodes, 1.0)
    with torch.no_grad():
        value = alone(torch.from_numpy(at_threshold)).item()
    raw = estimator.decision_function(at_threshold)[0] - float(estimator._baseline_prediction[0, 0])
    assert value == pytest.approx(raw, abs=1e-6)


def test_labels_that_are_not_exclusive_have_trees_of_their_own() -> None:
    features, targets = rows_of(load_wine)
    labels = np.stack([targets == 0, targets != 2, np.zeros(len(targets))], axis=1).astype(np.float32)
    task = Task(kind="multilabel", labels=("x", "y", "never"), metric="f1_micro")
    found = scores(fit_trees(features, labels, task).head, task, features)
    assert ((found >= 0.5) == labels).mean() > 0.98
    assert found[:, 2].max() < 0.01


def test_classes_without_an_example_are_unlikely_and_one_class_alone_is_certain() -> None:
    features, targets = rows_of(load_wine)
    kept = targets != 1
    found = scores(fit_trees(features[kept], targets[kept], MULTICLASS).head, MULTICLASS, features[kept])
    assert found[:, 1].max() < 0.02 and (found.argmax(1) == targets[kept]).mean() > 0.98
    alone = fit_trees(features[:30], np.full(30, 2), MULTICLASS).head
    assert scores(alone, MULTICLASS, features)[:, 2].min() > 0.95


def test_inner_cross_validation_stops_where_noise_begins(fitted: Callable[..., Any]) -> None:
    random = np.random.default_rng(0)
    noise = fit_trees(random.normal(size=(120, 4)), random.integers(0, 2, 120), BINARY)
    signal = fitted(BINARY, load_breast_cancer)[2]
    assert noise.iterations < 10 < signal.iterations <= ITERATIONS
    assert len(noise.path) < ITERATIONS and min(signal.path) == signal.path[signal.iterations - 1]


def test_groups_are_held_out_together() -> None:
    """A column that tells the group tells the target, but of no other group."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(24), 10)
    targets = random.integers(0, 2, 24)[groups]
    features = np.stack([groups, random.normal(size=len(groups))], axis=1).astype(np.float32)
    apart = fit_trees(features, targets, BINARY, groups=groups)
    mixed = fit_trees(features, targets, BINARY)
    assert min(apart.path) > 0.5 > 0.2 > min(mixed.path)


def test_class_weights_move_the_border() -> None:
    random = np.random.default_rng(1)
    targets = (random.random(400) < 0.1).astype(np.int64)
    features = (random.normal(size=400) + 1.2 * targets).astype(np.float32)[:, None]
    plain, weighted = (
        scores(fit_trees(features, targets, BINARY, class_weights=w).head, BINARY, features)[:, 1]
        for w in (None, (1.0, 9.0))
    )
    assert weighted.mean() > 2 * plain.mean()


def test_same_seed_same_trees_and_the_threads_stay_as_they_were() -> None:
    features, targets = rows_of(load_wine)
    before = torch.get_num_threads()
    one = fit_trees(features, targets, MULTICLASS, seed=3).head.state_dict()
    other = fit_trees(features, targets, MULTICLASS, seed=3).head.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.get_num_threads() == before


def test_a_class_with_one_example_allows_no_choice() -> None:
    features, targets = rows_of(load_wine)
    kept = np.concatenate([np.arange(100), [177]])
    fit = fit_trees(features[kept], targets[kept], MULTICLASS)
    assert fit.iterations == DEFAULT_ITERATIONS and fit.path == ()


def test_lengths_that_differ_are_told() -> None:
    with pytest.raises(DataError, match="3 rows of features but 4 targets"):
        fit_trees(np.zeros((3, 2)), np.zeros(4), REGRESSION)


def test_better_than_a_constant_on_a_real_regression(fitted: Callable[..., Any]) -> None:
    features, targets, fit, _ = fitted(REGRESSION, load_diabetes)
    found = scores(fit.head, REGRESSION, features)
    assert METRICS["r2"].function(targets, found, REGRESSION) > 0.5
