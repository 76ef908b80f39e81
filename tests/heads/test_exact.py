"""The exact head is scikit-learn's optimum, and its choice is what a plain cross-validation would choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from cutpoint.errors import DataError
from cutpoint.heads import held as in_memory
from cutpoint.heads import paths
from cutpoint.heads.exact import DEFAULT_STRENGTH, LOGISTIC_STRENGTHS, fit_exact, fit_exact_strength
from cutpoint.heads.folds import assign_folds
from cutpoint.heads.modules import predict_scores
from cutpoint.types import Task

BINARY = Task(kind="binary", labels=("even", "odd"))
DIGITS = Task(kind="multiclass", labels=tuple("0123456789"))
LABELS = Task(kind="multilabel", labels=("odd", "large"))
VALUES = Task(kind="regression", metric="rmse")


def _digits(rows):
    """Real scans; three of the 64 pixels are constant."""
    images, digits = load_digits(return_X_y=True)
    return images[:rows].astype(np.float32), digits[:rows].astype(np.int64)


def _wide(rows=150, seed=0):
    """More features than rows, one-sided and correlated as pooled activations are."""
    images, digits = _digits(rows)
    weights = np.random.default_rng(seed).normal(size=(64, 400)) / 16
    return np.maximum(images @ weights, 0).astype(np.float32), digits


def _case(task, features, digits):
    if task.kind == "binary":
        return features, digits % 2
    if task.kind == "multilabel":
        return features, np.stack([digits % 2, digits >= 5], axis=1).astype(np.float32)
    return features, digits


def _ours(head, task, features):
    return predict_scores(task, head(torch.from_numpy(features))).detach().numpy()


def _logistic(features, targets, strength, **options):
    model = LogisticRegression(C=strength, tol=1e-9, max_iter=20_000, **options)
    return model.fit(StandardScaler().fit_transform(features.astype(np.float64)), targets)


def _theirs(task, features, targets, strength, **options):
    standard = StandardScaler().fit_transform(features.astype(np.float64))
    if task.kind == "multilabel":
        models = [_logistic(features, column, strength, **options) for column in targets.T]
        return np.stack([model.predict_proba(standard)[:, 1] for model in models], axis=1)
    return _logistic(features, targets, strength, **options).predict_proba(standard)


@pytest.mark.parametrize("strength", [1e-4, 1e-2, 1.0, 30.0])
@pytest.mark.parametrize("wide", [False, True], ids=["64 features", "400 features"])
@pytest.mark.parametrize("task", [BINARY, DIGITS, LABELS], ids=lambda task: task.kind)
def test_the_optimum_is_that_of_scikit_learn(task, wide, strength):
    features, targets = _case(task, *(_wide() if wide else _digits(300)))
    fit = fit_exact_strength(features, targets, task, strength)
    expected = _theirs(task, features, targets, strength)
    np.testing.assert_allclose(_ours(fit.head, task, features), expected, atol=2e-5)
    assert (fit.strength, fit.path, fit.out_of_fold) == (strength, (), None)


@pytest.mark.parametrize("task", [BINARY, DIGITS], ids=lambda task: task.kind)
def test_class_weights_are_those_of_scikit_learn(task):
    features, targets = _case(task, *_digits(300))
    weights = np.linspace(0.2, 3.0, task.outputs)
    fit = fit_exact_strength(features, targets, task, 0.1, class_weights=weights)
    expected = _theirs(task, features, targets, 0.1, class_weight=dict(enumerate(weights)))
    np.testing.assert_allclose(_ours(fit.head, task, features), expected, atol=2e-5)


def test_label_weights_count_the_positives():
    features, targets = _case(LABELS, *_digits(300))
    fit = fit_exact_strength(features, targets, LABELS, 0.1, class_weights=[3.0, 0.5])
    pairs = zip(targets.T, (3.0, 0.5), strict=True)
    models = [_logistic(features, column, 0.1, class_weight={0: 1.0, 1: weight}) for column, weight in pairs]
    standard = StandardScaler().fit_transform(features.astype(np.float64))
    expected = np.stack([model.predict_proba(standard)[:, 1] for model in models], axis=1)
    np.testing.assert_allclose(_ours(fit.head, LABELS, features), expected, atol=2e-5)


@pytest.mark.parametrize("strength", [1e-4, 1e-1, 100.0])
@pytest.mark.parametrize("rows", [442, 8], ids=["tall", "wide"])
def test_ridge_is_that_of_scikit_learn_in_the_units_of_the_targets(rows, strength):
    features, targets = load_diabetes(return_X_y=True)
    features, targets = features[:rows].astype(np.float32), targets[:rows].astype(np.float32)
    fit = fit_exact_strength(features, targets, VALUES, strength)
    standard = StandardScaler().fit_transform(features.astype(np.float64))
    expected = Ridge(alpha=1 / strength, solver="svd").fit(standard, targets).predict(standard)
    np.testing.assert_allclose(_ours(fit.head, VALUES, features)[:, 0], expected, rtol=1e-4)


@pytest.mark.parametrize("task", [BINARY, DIGITS, LABELS], ids=lambda task: task.kind)
def test_path_and_out_of_fold_predictions_are_those_of_plain_cross_validation(task):
    features, targets = _case(task, *_digits(200))
    fit = fit_exact(features, targets, task, seed=4)
    folds = assign_folds(targets, task, 5, None, 4)
    scale = StandardScaler().fit(features.astype(np.float64))
    losses = {}
    for strength in (1e-3, 1e-2, 1e-1, 1.0, 10.0):
        expected = np.zeros_like(fit.out_of_fold)
        for fold in range(5):
            kept, held = folds != fold, folds == fold
            columns = targets.T if task.kind == "multilabel" else [targets]
            models = [
                # The scaler saw all rows, without their labels; the fit saw its own alone.
                LogisticRegression(C=strength, tol=1e-8, max_iter=9999).fit(
                    scale.transform(features[kept]), column[kept]
                )
                for column in columns
            ]
            answers = [model.predict_proba(scale.transform(features[held])) for model in models]
            expected[held] = (
                np.stack([answer[:, 1] for answer in answers], axis=1)
                if task.kind == "multilabel"
                else answers[0]
            )
        if task.kind == "multilabel":
            chosen = np.where(targets == 1, expected, 1 - expected)
            losses[strength] = -np.log(chosen).sum(axis=1).mean()
        else:
            losses[strength] = -np.log(expected[np.arange(200), targets]).mean()
        if strength in dict(fit.path):
            is_rough = dict(fit.path)[strength] > min(loss for _, loss in fit.path) + 0.02
            assert dict(fit.path)[strength] == pytest.approx(losses[strength], rel=0.1 if is_rough else 2e-3)
        if strength == fit.strength:
            np.testing.assert_allclose(fit.out_of_fold, expected, atol=5e-3)
    assert fit.strength == min(losses, key=losses.get)
    assert fit.folds == 5


def test_ridge_out_of_fold_is_that_of_plain_cross_validation():
    features, targets = load_diabetes(return_X_y=True)
    features, targets = features.astype(np.float32), targets.astype(np.float32)
    fit = fit_exact(features, targets, VALUES, seed=1)
    folds = assign_folds(targets, VALUES, 5, None, 1)
    standard = StandardScaler().fit_transform(features.astype(np.float64))
    expected = np.zeros((442, 1))
    for fold in range(5):
        model = Ridge(alpha=1 / fit.strength).fit(standard[folds != fold], targets[folds != fold])
        expected[folds == fold, 0] = model.predict(standard[folds == fold])
    np.testing.assert_allclose(fit.out_of_fold, expected, rtol=1e-4)
    loss = np.mean((expected[:, 0] - targets) ** 2) / targets.var()
    assert dict(fit.path)[fit.strength] == pytest.approx(loss, rel=1e-4)
    assert fit.strength == min(fit.path, key=lambda pair: pair[1])[0]


def test_the_path_stops_past_the_valley_and_ties_go_to_the_stronger_penalty():
    features, targets = _digits(200)
    targets = np.where(np.arange(200) % 4 == 0, np.roll(targets, 1), targets)
    path = fit_exact(features, targets, DIGITS).path
    losses = [loss for _, loss in path]
    assert len(path) < len(LOGISTIC_STRENGTHS)
    assert losses[-3] == min(losses)
    noise = np.zeros((40, 3), dtype=np.float32)
    assert fit_exact(noise, np.arange(40) % 2, BINARY).strength == LOGISTIC_STRENGTHS[0]


def test_a_warm_path_ends_where_a_cold_fit_does():
    features, targets = _wide()
    warm = fit_exact(features, targets, DIGITS)
    cold = fit_exact_strength(features, targets, DIGITS, warm.strength)
    np.testing.assert_allclose(
        _ours(warm.head, DIGITS, features), _ours(cold.head, DIGITS, features), atol=1e-5
    )


def test_what_is_clearly_worse_is_solved_roughly_and_changes_no_choice(monkeypatch):
    random = np.random.default_rng(0)
    rough = 0
    for number in range(12):
        rows, width = int(random.integers(30, 150)), int(random.integers(5, 200))
        features = random.normal(size=(rows, width)).astype(np.float32)
        logits = features @ random.normal(size=(width, 3)) / np.sqrt(width)
        targets = (logits * random.choice([0.5, 2.0, 8.0]) + random.normal(size=(rows, 3))).argmax(axis=1)
        targets[:6] = [0, 1, 2] * 2
        task = Task(kind="multiclass", labels=("a", "b", "c"))
        found = fit_exact(features, targets, task, seed=number)
        with monkeypatch.context() as patch:
            patch.setattr(paths, "_CLEARLY_WORSE", np.inf)
            expected = fit_exact(features, targets, task, seed=number)
        assert found.strength == expected.strength
        np.testing.assert_allclose(found.out_of_fold, expected.out_of_fold, atol=2e-3)
        np.testing.assert_allclose(
            _ours(found.head, task, features), _ours(expected.head, task, features), atol=1e-5
        )
        rough += dict(found.path) != dict(expected.path)
    assert rough > 0


def test_same_seed_same_bits():
    features, targets = _wide()
    first, second = (fit_exact(features, targets, DIGITS, seed=3) for _ in range(2))
    assert torch.equal(first.head.layers.weight, second.head.layers.weight)
    assert np.array_equal(first.out_of_fold, second.out_of_fold)
    assert first.path == second.path


def test_tensors_and_arrays_are_the_same():
    features, targets = _digits(100)
    from_tensor = fit_exact_strength(torch.from_numpy(features), targets, DIGITS, 0.1)
    from_array = fit_exact_strength(features, targets, DIGITS, 0.1)
    assert torch.equal(from_tensor.head.layers.weight, from_array.head.layers.weight)


def test_read_only_arrays_are_taken_without_a_warning(recwarn):
    features, targets = _digits(100)
    features.setflags(write=False)
    targets.setflags(write=False)
    fit_exact(features, targets, DIGITS)
    assert not recwarn.list


def test_constant_and_shifted_features_are_safe():
    features, targets = _digits(200)
    shifted = np.concatenate([features + 1000, np.full((200, 1), 0.1, np.float32)], axis=1)
    plain = _ours(fit_exact_strength(features, targets, DIGITS, 0.1).head, DIGITS, features)
    moved = fit_exact_strength(shifted, targets, DIGITS, 0.1).head
    assert bool((moved.layers.weight[:, -1] == 0).all())
    np.testing.assert_allclose(_ours(moved, DIGITS, shifted), plain, atol=2e-3)


def test_a_class_of_one_example_means_no_cross_validation():
    features, targets = _digits(30)
    targets = np.where(np.arange(30) == 0, 2, targets % 2)
    task = Task(kind="multiclass", labels=("a", "b", "c"))
    fit = fit_exact(features, targets, task)
    assert (fit.strength, fit.folds, fit.path, fit.out_of_fold) == (DEFAULT_STRENGTH, 0, (), None)


@pytest.mark.parametrize("per_class", [2, 3])
def test_few_examples_of_each_class(per_class):
    images, digits = _digits(400)
    rows = np.concatenate([np.flatnonzero(digits == digit)[:per_class] for digit in range(10)])
    fit = fit_exact(images[rows], digits[rows], DIGITS)
    assert np.isfinite(fit.out_of_fold).all()
    accuracy = np.mean(_ours(fit.head, DIGITS, images).argmax(axis=1) == digits)
    assert accuracy > 0.5


def test_a_label_without_positives_and_a_class_without_rows():
    features, digits = _digits(60)
    targets = np.stack([digits % 2, np.zeros(60)], axis=1).astype(np.float32)
    assert np.isfinite(fit_exact(features, targets, LABELS).out_of_fold).all()
    task = DIGITS.model_copy(update={"labels": (*DIGITS.labels, "unseen")})
    fit = fit_exact(features, digits, task)
    assert fit.out_of_fold.shape == (60, 11)
    assert fit.out_of_fold[:, 10].max() < 0.01


def test_groups_are_held_out_together():
    """A feature that names the group is worth nothing to new groups."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 10)
    targets = random.integers(0, 2, 20)[groups]
    features = (random.normal(size=(20, 30))[groups] + 0.1 * random.normal(size=(200, 30))).astype(np.float32)
    together = fit_exact(features, targets, BINARY, groups=groups)
    apart = fit_exact(features, targets, BINARY)
    assert np.mean(apart.out_of_fold.argmax(axis=1) == targets) > 0.95
    assert np.mean(together.out_of_fold.argmax(axis=1) == targets) < 0.8
    assert together.strength < apart.strength


def test_unusable_features_are_refused():
    features, targets = _digits(20)
    with pytest.raises(DataError, match="20 rows of features but 19 targets"):
        fit_exact(features, targets[:19], DIGITS)
    features[3, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        fit_exact_strength(features, targets, DIGITS, 1.0)


@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_a_label_that_no_row_or_every_row_has_does_not_spoil_the_others(constant: float) -> None:
    features = np.random.default_rng(0).normal(size=(60, 5))
    varying = (features[:, 0] > 0).astype(np.float32)
    task = Task(kind="multilabel", labels=("same", "varies"), metric="f1_micro")
    targets = np.stack([np.full(60, constant, dtype=np.float32), varying], axis=1)
    solved = fit_exact(features, targets, task)
    assert solved.out_of_fold is not None
    assert ((solved.out_of_fold >= 0.5) == (targets >= 0.5)).mean() > 0.95


@pytest.mark.parametrize("task", [BINARY, DIGITS, LABELS], ids=lambda task: task.kind)
def test_of_many_rows_one_fold_chooses_and_the_fit_is_the_optimum(task, monkeypatch):
    features, targets = _case(task, *_digits(300))
    usual = fit_exact(features, targets, task, seed=2)
    monkeypatch.setattr(in_memory, "_MANY", 0)
    fit = fit_exact(features, targets, task, seed=2)
    assert fit.folds == 3
    assert fit.strength == min(fit.path, key=lambda pair: pair[1])[0]
    assert abs(np.log10(fit.strength / usual.strength)) < 1.5
    expected = _theirs(task, features, targets, fit.strength)
    np.testing.assert_allclose(_ours(fit.head, task, features), expected, atol=2e-5)
    # Each row is answered by the fit that did not see it, the first fold's and the others'.
    folds = assign_folds(targets, task, 3, None, 2)
    scale = StandardScaler().fit(features.astype(np.float64))
    for fold in range(3):
        kept, held = folds != fold, folds == fold
        standard, label = scale.transform(features), targets[:, 0] if task.kind == "multilabel" else targets
        model = LogisticRegression(C=fit.strength, tol=1e-8, max_iter=9999).fit(standard[kept], label[kept])
        answers = model.predict_proba(standard[held])
        ours = fit.out_of_fold[held]
        if task.kind == "multilabel":
            ours, answers = ours[:, 0], answers[:, 1]
        np.testing.assert_allclose(ours, answers, atol=5e-3)


def test_many_rows_are_told_by_the_work_of_a_product(monkeypatch):
    features, targets = _digits(300)
    assert fit_exact(features, targets, DIGITS).folds == 5
    monkeypatch.setattr(in_memory, "_MANY", 300 * 10 * 100 - 1)
    assert fit_exact(features, targets, DIGITS).folds == 3
    assert fit_exact(features, targets % 2, BINARY).folds == 5


def test_weights_and_groups_hold_for_many_rows(monkeypatch):
    features, targets = _digits(300)
    weights = np.linspace(0.2, 3.0, 10)
    groups = np.arange(300) // 5
    monkeypatch.setattr(in_memory, "_MANY", 0)
    fit = fit_exact(features, targets, DIGITS, class_weights=weights, groups=groups)
    monkeypatch.undo()
    plain = fit_exact_strength(features, targets, DIGITS, fit.strength, class_weights=weights)
    np.testing.assert_allclose(
        _ours(fit.head, DIGITS, features), _ours(plain.head, DIGITS, features), atol=1e-5
    )
    folds = assign_folds(targets, DIGITS, 3, groups, 0)
    losses = -np.log(fit.out_of_fold[np.arange(300), targets]) * weights[targets]
    first = folds == 0
    expected = losses[first].sum() / weights[targets[first]].sum()
    assert dict(fit.path)[fit.strength] == pytest.approx(expected, rel=1e-3)
