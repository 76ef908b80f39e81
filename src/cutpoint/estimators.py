"""Scikit-learn estimators on plain feature rows: no backbone, the exact head, its strength chosen inside."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from cutpoint.heads.exact import ExactHead, fit_exact
from cutpoint.heads.modules import predict_scores
from cutpoint.types import Task


class CutpointClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Linear probe as a scikit-learn classifier: logistic regression at its optimum.

    Args:
        strengths: Inverse penalties C to choose from by held-out log loss; None: eight, a decade apart.
        inner_folds: Folds of that choice, at most.
        class_weight: "balanced" weighs each class by the inverse of its share.
        random_state: Deals the rows to the folds.

    Attributes:
        classes_: (classes,) sorted labels; the columns of `predict_proba`.
        exact_: The solved head with its path of held-out losses.
        strength_: The chosen C.
        n_features_in_: Features seen in `fit`.
    """

    def __init__(
        self,
        *,
        strengths: Sequence[float] | None = None,
        inner_folds: int = 5,
        class_weight: Literal["balanced"] | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.strengths = strengths
        self.inner_folds = inner_folds
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:  # noqa: N803
        """Choose the strength and fit on all rows.

        Args:
            X: (N, D) features.
            y: (N,) labels of two classes or more.
            groups: (N,) rows of one group are held out together.

        Raises:
            ValueError: Fewer than two classes, or arrays that scikit-learn's checks refuse.
        """
        features, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"The labels hold one class alone, {self.classes_[0]!r}: give two classes or more."
            )
        weights = None
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=labels)
        self.exact_ = fit_exact(
            features,
            targets,
            self._task(),
            class_weights=weights,
            strengths=self.strengths,
            inner_folds=self.inner_folds,
            groups=None if groups is None else np.asarray(groups),
            seed=_seed(self.random_state),
        )
        self.strength_ = self.exact_.strength
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """(N, classes) probabilities of rows (N, D)."""
        check_is_fitted(self)
        scores = _answers(self, X, self._task(), self.exact_)
        sums: NDArray[np.float64] = scores.sum(axis=1, keepdims=True)
        return np.asarray(scores / sums, dtype=np.float64)  # single-precision sums are off by 3e-7

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """(N,) the likeliest label of each row."""
        chosen = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    def _task(self) -> Task:
        labels = tuple(str(label) for label in self.classes_)
        return Task(kind="binary" if len(labels) == 2 else "multiclass", labels=labels)


class CutpointRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear probe as a scikit-learn regressor: ridge regression at its optimum.

    Args:
        strengths: Inverse penalties 1 / alpha to choose from by held-out squared error; None: eight.
        inner_folds: Folds of that choice, at most.
        random_state: Deals the rows to the folds.

    Attributes:
        exact_: The solved head with its path of held-out losses.
        strength_: The chosen inverse penalty.
        n_features_in_: Features seen in `fit`.
    """

    def __init__(
        self,
        *,
        strengths: Sequence[float] | None = None,
        inner_folds: int = 5,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.strengths = strengths
        self.inner_folds = inner_folds
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:  # noqa: N803
        """Choose the strength and fit on all rows.

        Args:
            X: (N, D) features.
            y: (N,) values.
            groups: (N,) rows of one group are held out together.

        Raises:
            ValueError: Arrays that scikit-learn's checks refuse.
        """
        features, values = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        self.exact_ = fit_exact(
            features,
            values,
            Task(kind="regression", metric="r2"),
            strengths=self.strengths,
            inner_folds=self.inner_folds,
            groups=None if groups is None else np.asarray(groups),
            seed=_seed(self.random_state),
        )
        self.strength_ = self.exact_.strength
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """(N,) value of each row (N, D)."""
        check_is_fitted(self)
        return _answers(self, X, Task(kind="regression", metric="r2"), self.exact_)[:, 0]


def _answers(estimator: BaseEstimator, rows: ArrayLike, task: Task, exact: ExactHead) -> NDArray[np.float64]:
    features = validate_data(estimator, rows, reset=False, dtype=np.float64)
    # In float32 the last digits of a row depend on how many others are asked for with it, on some processors.
    head = copy.deepcopy(exact.head).double()
    with torch.inference_mode():
        scores: NDArray[np.float64] = predict_scores(task, head(torch.from_numpy(features))).numpy()
    return scores


def _seed(random_state: int | np.random.RandomState | None) -> int:
    return int(check_random_state(random_state).randint(2**31 - 1))
