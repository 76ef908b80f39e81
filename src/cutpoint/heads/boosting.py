"""Fits gradient-boosted trees with scikit-learn and hands them over as a head.

What is compact, needs no pretrained network, and is hard to beat on rows of numbers (Friedman 2001; histogram splits
as in LightGBM, Ke et al. 2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from cutpoint.errors import DataError
from cutpoint.heads.folds import assign_folds
from cutpoint.heads.modules import standardisation
from cutpoint.heads.trees import ITERATIONS, LEAVES, Array, TreesHead
from cutpoint.types import Task

DEFAULT_ITERATIONS = 30
"""Used where the examples allow no cross-validation."""
_RATE = 0.1
_FOLDS = 3
_CHUNK = 20
"""Iterations that are added before the held-out loss is looked at again."""
# Twenty rows a leaf, scikit-learn's default, leave a few hundred rows hardly a split.
_FEWEST_IN_LEAF, _MOST_IN_LEAF, _ROWS_FOR_EACH = 5, 20, 30
_SECONDS_PER_TREE, _SECONDS_PER_CELL = 2e-3, 1e-8
"""Rough cost of growing one tree, on its own and for each cell of the rows: what a prediction of costs needs."""


def expected_seconds(rows: int, width: int, outputs: int) -> float:
    """About how long a fit with its cross-validation takes, if half of the iterations are needed."""
    trees = outputs * ITERATIONS / 2 * (_FOLDS + 1)
    return trees * (_SECONDS_PER_TREE + _SECONDS_PER_CELL * rows * width)


@dataclass(frozen=True)
class FittedTrees:
    """A fitted head and how its number of trees was chosen.

    Attributes:
        head: Answers in logits (classes, labels) or in the units of the targets.
        iterations: Trees an output that are used.
        path: Mean held-out loss after each iteration that was tried; empty without cross-validation.
    """

    head: TreesHead
    iterations: int
    path: tuple[float, ...] = ()


def fit_trees(
    features: Tensor | Array,
    targets: Array,
    task: Task,
    *,
    class_weights: ArrayLike | None = None,
    groups: Array | None = None,
    seed: int = 0,
) -> FittedTrees:
    """Choose the number of trees by the least held-out loss (ties: fewer) and fit on all rows.

    Args:
        features: (N, D) float; NaN stands for a value that is missing.
        targets: As in `Dataset.targets`, for these rows.
        task: What is predicted. Labels that are not exclusive get trees of their own each.
        class_weights: (classes,) weight of each class's loss, where there is one class an example.
        groups: (N,) rows of one group are held out together.
        seed: Deals the rows to the folds.

    Raises:
        DataError: Features of another length than the targets.
    """
    rows = torch.as_tensor(features).detach().float().cpu().numpy()
    if len(rows) != len(targets):
        raise DataError(
            f"{len(rows)} rows of features but {len(targets)} targets.",
            "Give one row of features for each target.",
        )
    problem = _Problem(rows, np.asarray(targets), task, class_weights, seed)
    everything = np.arange(len(rows))
    folds = assign_folds(np.asarray(targets), task, _FOLDS, groups, seed)
    with _one_thread():
        path = [] if folds is None else _held_out_path(problem, folds)
        iterations = int(np.argmin(path)) + 1 if path else DEFAULT_ITERATIONS
        head = problem.boosters(everything).grown(iterations)
    return FittedTrees(head, iterations, tuple(path))


def _held_out_path(problem: _Problem, folds: Array) -> list[float]:
    """Mean held-out loss after each iteration, until a whole chunk of them brought nothing."""
    numbers = range(int(folds.max()) + 1)
    boosters = [problem.boosters(np.flatnonzero(folds != number)) for number in numbers]
    path: list[float] = []
    for end in range(_CHUNK, ITERATIONS + 1, _CHUNK):
        losses = np.zeros(end)
        for number, each in zip(numbers, boosters, strict=True):
            losses += problem.losses(each.grown(end), np.flatnonzero(folds == number), end)
        path = list(losses / len(folds))
        if int(np.argmin(path)) < end - _CHUNK:
            break
    return path


class _Problem:
    """Rows and targets, and what scikit-learn makes of parts of them."""

    def __init__(
        self,
        rows: NDArray[np.float32],
        targets: Array,
        task: Task,
        class_weights: ArrayLike | None,
        seed: int,
    ) -> None:
        self.rows, self.task, self.seed = rows, task, seed
        self.mean, self.scale = torch.zeros(1), torch.ones(1)
        self.targets = targets
        if task.kind == "regression":
            columns = torch.from_numpy(targets.astype(np.float64)).reshape(len(targets), -1)
            self.mean, self.scale = standardisation(columns)
            self.targets = ((columns - self.mean) / self.scale).numpy()[:, 0]
        self.weights = None
        if class_weights is not None and task.is_classification:
            self.weights = np.asarray(class_weights, dtype=np.float64)[targets]

    def boosters(self, rows: Array) -> _Boosters:
        """Ungrown trees on these rows."""
        if self.task.kind == "multilabel":
            parts = [
                _Booster(self, rows, self.targets[:, label], (label,)) for label in range(self.task.outputs)
            ]
        else:
            parts = [_Booster(self, rows, self.targets, tuple(range(self.task.outputs)))]
        return _Boosters(self, parts)

    @torch.no_grad()
    def losses(self, head: TreesHead, rows: Array, iterations: int) -> Array:
        """(iterations,) summed loss of these rows after each iteration."""
        steps = head.steps(torch.from_numpy(self.rows[rows]))[:, :iterations]
        logits = (steps.cumsum(dim=1) + head.baseline).transpose(0, 1)
        targets = torch.from_numpy(self.targets[rows])
        if self.task.kind == "regression":
            found = (logits[..., 0] - targets).square()
        elif self.task.kind == "multilabel":
            wanted = targets.float().expand(logits.shape)
            found = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(-1)
        else:
            found = F.cross_entropy(
                logits.permute(1, 2, 0), targets.long()[:, None].expand(-1, len(logits)), reduction="none"
            ).T
        if self.weights is not None:
            found = found * torch.from_numpy(self.weights[rows])
        return np.asarray(found.sum(dim=1).double().numpy())


class _Boosters:
    """The boosters of all outputs, and the head that they make together."""

    def __init__(self, problem: _Problem, parts: Sequence[_Booster]) -> None:
        self.problem, self.parts = problem, parts

    def grown(self, iterations: int) -> TreesHead:
        """A head of so many iterations; what has grown before is kept."""
        head = TreesHead(self.problem.rows.shape[1], self.problem.task.outputs)
        for part in self.parts:
            part.grow(iterations)
            part.export(head)
        head.output_mean.copy_(self.problem.mean.expand(head.outputs))
        head.output_scale.copy_(self.problem.scale.expand(head.outputs))
        return head


class _Booster:
    """One estimator of scikit-learn and the output columns that it answers for.

    Args:
        problem: Rows, task and seed.
        rows: Numbers of the rows to learn from.
        targets: Of all rows: class numbers, 0 and 1 of a label, or values.
        columns: Outputs; one for a label or a value, else one a class.
    """

    def __init__(self, problem: _Problem, rows: Array, targets: Array, columns: tuple[int, ...]) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        self.problem, self.rows, self.columns = problem, rows, columns
        self.targets = targets[rows]
        is_regression = problem.task.kind == "regression"
        self.classes = (
            np.unique(self.targets).astype(np.int64) if not is_regression else np.zeros(1, np.int64)
        )
        kind = HistGradientBoostingRegressor if is_regression else HistGradientBoostingClassifier
        in_leaf = int(np.clip(len(rows) // _ROWS_FOR_EACH, _FEWEST_IN_LEAF, _MOST_IN_LEAF))
        self.estimator = kind(
            learning_rate=_RATE,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=in_leaf,
            early_stopping=False,
            warm_start=True,
            random_state=problem.seed,
        )

    @property
    def is_constant(self) -> bool:
        """Whether a single class is all that there is to learn."""
        return self.problem.task.kind != "regression" and len(self.classes) < 2

    def grow(self, iterations: int) -> None:
        """Add trees up to so many an output."""
        if self.is_constant:
            return
        weights = self.problem.weights
        self.estimator.set_params(max_iter=iterations)
        self.estimator.fit(
            self.problem.rows[self.rows],
            self.targets,
            sample_weight=None if weights is None else weights[self.rows],
        )

    @torch.no_grad()
    def export(self, head: TreesHead) -> None:
        """Write baseline and trees into the columns of a head."""
        # A class that these rows do not have is as likely as half an example of it.
        unseen = -float(np.log(2 * len(self.rows)))
        if self.is_constant:
            self._put_constant(head, unseen)
            return
        baseline = self.estimator._baseline_prediction[0]
        for column, output, factor in self._outputs():
            head.baseline[output] = factor * float(baseline[column])
        seen = [output for _, output, _ in self._outputs()]
        head.baseline[[output for output in self.columns if output not in seen]] = (
            float(baseline.min()) + unseen
        )
        for iteration, trees in enumerate(self.estimator._predictors):
            for column, output, factor in self._outputs():
                head.put(iteration * head.outputs + output, trees[column].nodes, factor)

    def _put_constant(self, head: TreesHead, unseen: float) -> None:
        if len(self.columns) == 1:  # a label that always or never holds
            head.baseline[self.columns[0]] = -unseen if self.classes[0] else unseen
            return
        head.baseline[list(self.columns)] = unseen
        head.baseline[int(self.classes[0])] = 0.0

    def _outputs(self) -> list[tuple[int, int, float]]:
        """(column of the estimator, output of the head, factor of its values)."""
        if len(self.columns) == 1:
            return [(0, self.columns[0], 1.0)]
        if (
            len(self.classes) == 2
        ):  # one logit is the difference of two: half of it on each side is the same model
            return [(0, int(self.classes[0]), -0.5), (0, int(self.classes[1]), 0.5)]
        return [(column, int(output), 1.0) for column, output in enumerate(self.classes)]


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of scikit-learn's: a tree of few rows gains nothing from a second one, and where other work holds a
    core, threads that wait for each other at every split take ten times as long."""
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with threadpool_limits(limits=1, user_api="openmp"):
        yield
    torch.set_num_threads(before)
