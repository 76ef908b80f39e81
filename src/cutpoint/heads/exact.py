"""The exact linear head: the optimum of a convex problem, its regularisation chosen by cross-validation.

Logistic regression for labels, ridge regression for values, both with an L2 penalty on standardised features:
scikit-learn's objectives, `sum of losses + ||w||² / (2 C)`, with a bias that is not penalised.

What makes it fast is exact too. The optimum lies in the span of the rows, so that more features than rows
cost nothing; turned onto their principal axes, the features need a handful of Newton products; and all folds
and the full fit are solved together, each strength from the optimum of the one before. Of many rows one fold
alone chooses the strength; the fit on all rows is the optimum there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cutpoint.errors import DataError
from cutpoint.heads import newton, ridge
from cutpoint.heads.design import DenseDesign, design_of
from cutpoint.heads.folds import assign_folds
from cutpoint.heads.modules import LinearHead, standardisation
from cutpoint.runtime import one_thread
from cutpoint.types import Task

LOGISTIC_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2)
"""Inverse penalties C from strong to weak: a thousand standardised features want about 1e-3, ten about 1."""
RIDGE_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2)
"""The same for ridge regression (penalty alpha = 1 / C, targets of unit variance)."""
DEFAULT_STRENGTH = 1.0
"""Used where the examples allow no cross-validation; scikit-learn's default."""

# A looser path stops short of the optimum where the classes separate, and so chooses too weak a penalty.
_PATH_TOLERANCE = 1e-6
# Newton's last step lands far nearer than its start: predictions are then exact to the last digit of float32.
_FINAL_TOLERANCE = 1e-8

_MANY = 50_000_000
"""Multiply-adds of one product, rows × columns × outputs: from here on a cross-validation would take minutes."""
_NARROWEST = 100
"""However narrow the features are, exponentials of all logits take as long as so many columns."""
# Of that many rows a third is plenty to tell strengths apart that lie a decade apart, and no loss rises by chance.
_FOLDS_OF_MANY = 3
_PATH_TOLERANCE_OF_MANY = 1e-5


@dataclass(frozen=True)
class ExactHead:
    """A solved head and how its strength was chosen.

    Attributes:
        head: Answers in logits (classes, labels) or in the units of the targets; standardisation is folded
            into its weights.
        strength: The inverse penalty C that was used.
        path: (strength, mean held-out loss) for each strength tried, from strong to weak; empty without
            cross-validation. It ends early where the loss rises twice in a row (once, of many rows). The loss
            is the log loss (summed over labels), or the squared error in units of the targets' variance.
        out_of_fold: (N, outputs) float32 predictions for each row by the fit that did not see it; None
            without cross-validation.
        folds: Number of inner folds; 0 without cross-validation.
    """

    head: LinearHead
    strength: float
    path: tuple[tuple[float, float], ...] = ()
    out_of_fold: NDArray[np.float32] | None = None
    folds: int = 0


@one_thread()
def fit_exact(
    features: Tensor | NDArray[Any],
    targets: NDArray[Any],
    task: Task,
    *,
    class_weights: ArrayLike | None = None,
    strengths: Sequence[float] | None = None,
    inner_folds: int = 5,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
) -> ExactHead:
    """Choose the strength by the least held-out loss (ties: the stronger penalty) and fit on all rows.

    Args:
        features: (N, D) float.
        targets: As in `Dataset.targets`, for these rows.
        task: What is predicted.
        class_weights: (classes,) weight of each class's loss; for multi-label (labels,) weight of positives.
        strengths: Inverse penalties to try; by default eight, a decade apart.
        inner_folds: Folds at most; fewer where there are fewer rows or groups, and three of many rows. Where a
            class has a single example there are none, and the strength is `DEFAULT_STRENGTH`.
        groups: (N,) rows of one group are held out together.
        seed: Deals the rows to the folds.

    Raises:
        DataError: Features that are not finite, or of another length than the targets.
    """
    rows = _Rows(features, targets, task, class_weights)
    most = min(inner_folds, _FOLDS_OF_MANY) if rows.are_many else inner_folds
    folds = assign_folds(np.asarray(targets), task, most, groups, seed)
    if folds is None:
        return fit_exact_strength(features, targets, task, DEFAULT_STRENGTH, class_weights=class_weights)
    if task.kind == "regression":
        choose, usual = _ridge_path, RIDGE_STRENGTHS
    else:
        choose, usual = _single_path if rows.are_many else _stacked_path, LOGISTIC_STRENGTHS
    chosen = choose(rows, torch.as_tensor(folds), sorted(strengths or usual))
    return ExactHead(
        head=rows.head(rows.solve(chosen.strength, chosen.start)),
        strength=chosen.strength,
        path=tuple(chosen.path),
        out_of_fold=rows.predictions(chosen.held_out),
        folds=int(folds.max()) + 1,
    )


@one_thread()
def fit_exact_strength(
    features: Tensor | NDArray[Any],
    targets: NDArray[Any],
    task: Task,
    strength: float,
    *,
    class_weights: ArrayLike | None = None,
) -> ExactHead:
    """Fit on all rows at a given inverse penalty, without cross-validation; arguments as in `fit_exact`."""
    rows = _Rows(features, targets, task, class_weights)
    return ExactHead(head=rows.head(rows.solve(strength, None)), strength=strength)


@dataclass(frozen=True)
class _Chosen:
    """The strength of the least held-out loss, with the losses of all.

    Attributes:
        path: (strength, loss) from strong to weak.
        held_out: (N, K) logits or scaled values of each row by the fit without it, at the chosen strength.
        start: (R, K) parameters near those of the fit on all rows; None where there are none.
    """

    path: list[tuple[float, float]]
    held_out: Tensor
    start: Tensor | None

    @property
    def strength(self) -> float:
        return self.path[_best(self.path)][0]


def _best(path: list[tuple[float, float]]) -> int:
    """`min` keeps the first of equals, and the strengths rise: ties go to the stronger penalty."""
    return min(range(len(path)), key=lambda number: path[number][1])


def _past_the_valley(path: list[tuple[float, float]], rises: int) -> bool:
    """Weaker penalties overfit more and cost most: after so many rises in a row there is nothing to find."""
    last = [loss for _, loss in path[-rises - 1 :]]
    return len(last) > rises and all(before < after for before, after in pairwise(last))


class _Rows:
    """Features as a design, targets as columns, and the way back to a head."""

    def __init__(
        self,
        features: Tensor | NDArray[Any],
        targets: NDArray[Any],
        task: Task,
        class_weights: ArrayLike | None,
    ) -> None:
        if len(features) != len(targets):
            raise DataError(
                f"{len(features)} rows of features but {len(targets)} targets.",
                "Give one row of features for each target.",
            )
        self.task = task
        self.design = design_of(features, dense=task.kind == "regression")
        self.target_mean, self.target_scale = torch.zeros(1), torch.ones(1)
        self.columns = self._target_columns(np.asarray(targets))
        self.weights = self._row_weights(class_weights)

    def _target_columns(self, targets: NDArray[Any]) -> Tensor:
        given = torch.from_numpy(np.array(targets))
        if self.task.kind == "multiclass":
            return torch.nn.functional.one_hot(given.long(), self.task.outputs).double()
        columns = given.double().reshape(len(given), -1)
        if self.task.kind == "regression":
            self.target_mean, self.target_scale = standardisation(columns)
            columns = (columns - self.target_mean) / self.target_scale
        return columns

    def _row_weights(self, class_weights: ArrayLike | None) -> Tensor:
        """(N, 1), or (N, labels) where the labels are weighted one by one."""
        if class_weights is None:
            return self.columns.new_ones(len(self.columns), 1)
        given = torch.as_tensor(np.asarray(class_weights, dtype=np.float64))
        if self.task.kind == "multiclass":
            return (self.columns @ given)[:, None]
        if self.task.kind == "binary":
            return torch.where(self.columns == 1, given[1], given[0])
        return torch.where(self.columns == 1, given, torch.ones_like(given))

    @property
    def are_many(self) -> bool:
        """Whether a product with the features takes so long that not every fold can be followed along the path."""
        return self.columns.numel() * max(self.design.columns, _NARROWEST) > _MANY

    @property
    def matrix(self) -> Tensor:
        """(N, R) of a dense design."""
        assert isinstance(self.design, DenseDesign)
        return self.design.matrix

    def problems(self, masks: Tensor) -> newton.LogisticProblems:
        """One problem for each column of masks (N, S)."""
        return newton.LogisticProblems(
            design=self.design,
            targets=self.columns,
            weights=masks[:, :, None] * self.weights[:, None, :],
            exclusive=self.task.kind == "multiclass",
        )

    def solve(self, strength: float, start: Tensor | None) -> Tensor:
        """Parameters (R, K) of the fit on all rows, to the last digits."""
        if self.task.kind == "regression":
            return ridge.solve(self.matrix, self.columns, strength)
        problems = self.problems(self.columns.new_ones(len(self.columns), 1))
        if start is not None:
            begin = newton.Solution.at(problems, start)
        elif self.are_many:
            begin = newton.approach(problems, strength)
        else:
            begin = newton.Solution.zero(problems)
        return newton.solve(problems, strength, begin, _FINAL_TOLERANCE).parameters[:, 0]

    def head(self, parameters: Tensor) -> LinearHead:
        """Parameters of the design (R, K) → a head on raw features."""
        weight, bias = self.design.raw(parameters)
        if self.task.kind == "binary":
            # One logit is the difference of two: half of it on each side is the same model.
            weight, bias = (torch.cat([-half, half], dim=-1) for half in (weight / 2, bias / 2))
        elif self.task.kind == "multiclass":
            # Softmax does not see a constant in all classes; zero is the canonical one.
            bias = bias - bias.mean()
        head = LinearHead(weight.shape[0], self.task.outputs)
        with torch.no_grad():
            head.layers.weight.copy_(weight.T)
            head.layers.bias.copy_(bias)
        if self.task.kind == "regression":
            head.output_mean.copy_(self.target_mean)
            head.output_scale.copy_(self.target_scale)
        return head

    def predictions(self, values: Tensor) -> NDArray[np.float32]:
        """Logits or scaled values (N, K) → predictions (N, outputs)."""
        if self.task.kind == "regression":
            answers = values * self.target_scale + self.target_mean
        elif self.task.kind == "multiclass":
            answers = values.softmax(dim=1)
        else:
            answers = values.sigmoid()
            if self.task.kind == "binary":
                answers = torch.cat([1 - answers, answers], dim=1)
        result: NDArray[np.float32] = answers.numpy().astype(np.float32)
        return result


def _stacked_path(rows: _Rows, folds: Tensor, strengths: Sequence[float]) -> _Chosen:
    """Every fold and the full fit at each strength, side by side."""
    count = int(folds.max()) + 1
    masks = torch.cat(
        [folds[:, None] != torch.arange(count), torch.ones(len(folds), 1, dtype=torch.bool)], dim=1
    )
    problems = rows.problems(masks.double())
    solution = newton.Solution.zero(problems)
    numbers = torch.arange(len(folds))
    total = rows.weights.mean(dim=1).sum()
    path: list[tuple[float, float]] = []
    for strength in strengths:
        solution = newton.solve(problems, strength, solution, _PATH_TOLERANCE)
        loss = rows.weights * problems.loss(solution.logits)[numbers, folds]
        path.append((strength, float(loss.sum() / total)))
        if _best(path) == len(path) - 1:
            chosen = _Chosen(path, solution.logits[numbers, folds], solution.parameters[:, -1])
        if _past_the_valley(path, rises=2):
            break
    return chosen


def _single_path(rows: _Rows, folds: Tensor, strengths: Sequence[float]) -> _Chosen:
    """One fold at each strength, and all at the best one."""
    whole = rows.problems(rows.columns.new_ones(len(folds), 1))
    kept, held = whole.rows(folds != 0), whole.rows(folds == 0)
    solution = newton.Solution.zero(kept)
    total = held.weights.mean(dim=2).sum()
    path: list[tuple[float, float]] = []
    for strength in strengths:
        solution = newton.solve(kept, strength, solution, _PATH_TOLERANCE_OF_MANY)
        loss = held.weights * held.loss(held.design.values(solution.parameters))
        path.append((strength, float(loss.sum() / total)))
        if _past_the_valley(path, rises=1):
            break
    return _Chosen(path, _held_out(whole, folds, path[_best(path)][0]), None)


def _held_out(whole: newton.LogisticProblems, folds: Tensor, strength: float) -> Tensor:
    """Logits (N, K) of each row by the fit without its fold.

    No fit starts from another fold's optimum: that is so sure of its own rows that Newton's steps are worth little
    on others.
    """
    result = torch.empty_like(whole.targets)
    for fold in range(int(folds.max()) + 1):
        kept, held = whole.rows(folds != fold), folds == fold
        solution = newton.solve(kept, strength, newton.approach(kept, strength), _PATH_TOLERANCE_OF_MANY)
        result[held] = whole.design.rows(held).values(solution.parameters)[:, 0]
    return result


def _ridge_path(rows: _Rows, folds: Tensor, strengths: Sequence[float]) -> _Chosen:
    held_out = ridge.held_out_path(rows.matrix, rows.columns, folds, strengths)
    losses = (held_out - rows.columns).square().mean(dim=(1, 2))
    path = [(strength, float(loss)) for strength, loss in zip(strengths, losses, strict=True)]
    return _Chosen(path, held_out[_best(path)], None)
