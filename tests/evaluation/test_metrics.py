"""Each metric equals scikit-learn's or scipy's, weighted or not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from cutpoint.errors import DataError
from cutpoint.evaluation.metrics import METRICS, check_metric
from cutpoint.types import Task

BINARY = Task(kind="binary", labels=("no", "yes"))
CLASSES = Task(kind="multiclass", labels=("a", "b", "c", "d"))
LABELS = Task(kind="multilabel", labels=("x", "y", "z"))
VALUES = Task(kind="regression")


def _probabilities(random, rows, columns):
    # Rounded, so that scores tie.
    scores = np.round(random.dirichlet(np.ones(columns), size=rows), 1) + 0.01
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def _case(task, rows=120, seed=0):
    random = np.random.default_rng(seed)
    if task.kind == "regression":
        targets = np.round(random.normal(size=rows), 1).astype(np.float32)
        return targets, (targets + random.normal(size=rows)).astype(np.float32)[:, None]
    if task.kind == "multilabel":
        targets = (random.random((rows, 3)) < 0.4).astype(np.float32)
        return targets, np.round(random.random((rows, 3)), 1).astype(np.float32)
    return random.integers(0, task.outputs, rows), _probabilities(random, rows, task.outputs)


def _reference(name, task, targets, predictions, weights):
    given = {"sample_weight": weights}
    if task.kind == "regression":
        values = predictions[:, 0]
        return {
            "r2": lambda: reference.r2_score(targets, values, **given),
            "mae": lambda: reference.mean_absolute_error(targets, values, **given),
            "rmse": lambda: reference.root_mean_squared_error(targets, values, **given),
            "spearman": lambda: stats.spearmanr(np.repeat(targets, weights), np.repeat(values, weights))[0],
            "pearson": lambda: stats.pearsonr(np.repeat(targets, weights), np.repeat(values, weights))[0],
        }[name]()
    chosen = predictions >= 0.5 if task.kind == "multilabel" else predictions.argmax(axis=1)
    if task.kind == "multilabel":
        log_loss = np.mean([reference.log_loss(targets[:, k], predictions[:, k], **given) for k in range(3)])
        accuracy = np.mean([reference.accuracy_score(targets[:, k], chosen[:, k], **given) for k in range(3)])
    else:
        log_loss = reference.log_loss(targets, predictions, labels=range(task.outputs), **given)
        accuracy = reference.accuracy_score(targets, chosen, **given)
    truth = np.eye(task.outputs)[targets] if task.kind == "multiclass" else targets
    scores = predictions[:, 1] if task.kind == "binary" else predictions
    return {
        "accuracy": lambda: accuracy,
        "log_loss": lambda: log_loss,
        "balanced_accuracy": lambda: reference.balanced_accuracy_score(targets, chosen, **given),
        "f1_macro": lambda: reference.f1_score(targets, chosen, average="macro", zero_division=0, **given),
        "f1_micro": lambda: reference.f1_score(targets, chosen, average="micro", **given),
        "roc_auc": lambda: reference.roc_auc_score(targets, scores, **given),
        "average_precision": lambda: reference.average_precision_score(truth, scores, **given),
    }[name]()


PAIRS = [
    (name, task)
    for task in (BINARY, CLASSES, LABELS, VALUES)
    for name, metric in METRICS.items()
    if task.kind in metric.kinds
]


@pytest.mark.parametrize(("name", "task"), PAIRS, ids=[f"{name}-{task.kind}" for name, task in PAIRS])
def test_metric_equals_the_reference_with_and_without_weights(name, task):
    targets, predictions = _case(task)
    weights = np.stack([np.ones(len(targets), int), np.random.default_rng(1).integers(0, 4, len(targets))])
    ours = METRICS[name].weighted(targets, predictions, task, weights.astype(np.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = [_reference(name, task, targets, predictions, row) for row in weights]
    np.testing.assert_allclose(ours, theirs, rtol=2e-6)
    assert METRICS[name].function(targets, predictions, task) == pytest.approx(theirs[0], rel=2e-6)


@pytest.mark.parametrize("task", [BINARY, CLASSES, LABELS, VALUES], ids=lambda task: task.kind)
def test_the_mean_over_examples_is_the_metric(task):
    targets, predictions = _case(task)
    for metric in METRICS.values():
        if task.kind in metric.kinds and metric.per_example:
            each = metric.per_example(targets, predictions, task)
            assert each.shape == (len(targets),)
            assert each.mean() == pytest.approx(metric.function(targets, predictions, task))


def test_undefined_metrics_say_so():
    with pytest.raises(DataError, match="roc_auc is not defined"):
        METRICS["roc_auc"].function(np.zeros(5, int), np.full((5, 2), 0.5, np.float32), BINARY)
    with pytest.raises(DataError, match="r2 is not defined"):
        METRICS["r2"].function(np.ones(5, np.float32), np.ones((5, 1), np.float32), VALUES)


@pytest.mark.parametrize("metric", ["spearman", "pearson"])
def test_constant_predictions_order_nothing(metric):
    targets = np.arange(5, dtype=np.float32)
    assert METRICS[metric].function(targets, np.full((5, 1), 0.1, np.float32), VALUES) == 0
    with pytest.raises(DataError, match="not defined"):
        METRICS[metric].function(np.ones(5, np.float32), targets[:, None], VALUES)


def test_wrong_metrics_are_refused_with_the_right_ones():
    with pytest.raises(DataError, match=r"no metric called 'auc'[\s\S]*roc_auc"):
        check_metric(BINARY.model_copy(update={"metric": "auc"}))
    with pytest.raises(DataError, match=r"cannot judge a regression task[\s\S]*rmse"):
        check_metric(VALUES)
    assert check_metric(CLASSES).name == "accuracy"


LANGUAGE = Task(kind="language", metric="perplexity")
# Summed negative log-likelihood, tokens, tokens predicted right; the second row has nothing to predict.
TEXTS = np.array([[4 * np.log(2), 4, 1], [0, 0, 0], [6 * np.log(8), 6, 3]], dtype=np.float32)


def test_perplexity_is_over_tokens_not_over_texts():
    weights = np.array([[1.0, 1, 1], [2, 5, 0], [0, 1, 1]])
    found = METRICS["perplexity"].weighted(np.zeros(3, int), TEXTS, LANGUAGE, weights)
    np.testing.assert_allclose(found, [2 ** ((4 + 18) / 10), 2, 8], rtol=1e-6)
    right = METRICS["next_token_accuracy"].weighted(np.zeros(3, int), TEXTS, LANGUAGE, weights)
    np.testing.assert_allclose(right, [0.4, 0.25, 0.5])
    with pytest.raises(DataError, match="perplexity is not defined"):
        METRICS["perplexity"].function(np.zeros(1, int), TEXTS[1:2], LANGUAGE)


def test_gains_of_perplexity_are_shares_of_it():
    assert METRICS["perplexity"].gain(4.0, 3.0) == 0.25
    assert METRICS["perplexity"].gain(4.0, 5.0) == -0.25
    assert METRICS["rmse"].gain(4.0, 3.0) == 1.0
    assert METRICS["accuracy"].gain(0.5, 0.75) == 0.25
