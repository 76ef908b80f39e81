"""The exact linear head: the optimum of a convex problem, its regularisation chosen by cross-validation.

Logistic regression for labels, ridge regression for values, both with an L2 penalty on standardised features:
scikit-learn's objectives, `sum of losses + ||w||² / (2 C)`, with a bias that is not penalised.

What makes it fast is exact too. The optimum lies in the span of the rows, so that more features than rows
cost nothing; turned onto their principal axes, the features need a handful of Newton products; and all folds
and the full fit are solved together, each strength from the optimum of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cutpoint.errors import DataError
from cutpoint.heads import newton, ridge
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


@dataclass(frozen=True)
class ExactHead:
    """A solved head and how its strength was chosen.

    Attributes:
        head: Answers in logits (classes, labels) or in the units of the targets; standardisation is folded
            into its weights.
        strength: The inverse penalty C that was used.
        path: (strength, mean held-out loss) for each strength tried, from strong to weak; empty without
            cross-validation. It ends early where the loss rises twice in a row. The loss is the log loss
            (summed over labels), or the squared error in units of the targets' variance.
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
        inner_folds: Folds at most; fewer where there are fewer rows or groups. Where a class has a single
            example there are none, and the strength is `DEFAULT_STRENGTH`.
        groups: (N,) rows of one group are held out together.
        seed: Deals the rows to the folds.

    Raises:
        DataError: Features that are not finite, or of another length than the targets.
    """
    rows = _Rows(features, targets, task, class_weights)
    folds = assign_folds(np.asarray(targets), task, inner_folds, groups, seed)
    if folds is None:
        return fit_exact_strength(features, targets, task, DEFAULT_STRENGTH, class_weights=class_weights)
    if task.kind == "regression":
        tried = _ridge_path(rows, folds, sorted(strengths or RIDGE_STRENGTHS))
    else:
        tried = _logistic_path(rows, folds, sorted(strengths or LOGISTIC_STRENGTHS))
    # `min` keeps the first of equals, and the strengths rise: ties go to the stronger penalty.
    best = min(tried, key=lambda fit: fit.loss)
    return ExactHead(
        head=rows.head(rows.solve(best.strength, best.start)),
        strength=best.strength,
        path=tuple((fit.strength, fit.loss) for fit in tried),
        out_of_fold=rows.predictions(best.held_out),
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
class _Tried:
    strength: float
    loss: float
    held_out: Tensor
    start: Tensor | None


class _Rows:
    """Features on their principal axes, targets as columns, and the way back to a head."""

    def __init__(
        self,
        features: Tensor | NDArray[Any],
        targets: NDArray[Any],
        task: Task,
        class_weights: ArrayLike | None,
    ) -> None:
        raw = _as_double(features)
        if len(raw) != len(targets):
            raise DataError(
                f"{len(raw)} rows of features but {len(targets)} targets.",
                "Give one row of features for each target.",
            )
        if not bool(torch.isfinite(raw).all()):
            raise DataError(
                "The features hold values that are not finite.",
                "Look for inputs that are damaged, or a backbone that overflows in half precision.",
            )
        self.task = task
        self.mean, self.scale = standardisation(raw)
        self.design, self.axes = _principal((raw - self.mean) / self.scale)
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

    def problems(self, masks: Tensor) -> newton.LogisticProblems:
        """One problem for each column of masks (N, S)."""
        return newton.LogisticProblems(
            design=self.design,
            rounded=self.design.float(),
            targets=self.columns,
            weights=masks[:, :, None] * self.weights[:, None, :],
            exclusive=self.task.kind == "multiclass",
        )

    def solve(self, strength: float, start: Tensor | None) -> Tensor:
        """Parameters (R, K) of the fit on all rows, to the last digits."""
        if self.task.kind == "regression":
            return ridge.solve(self.design, self.columns, strength)
        problems = self.problems(self.columns.new_ones(len(self.columns), 1))
        begin = newton.Solution.zero(problems)
        if start is not None:
            begin = newton.Solution(start[:, None], (self.design @ start)[:, None])
        return newton.solve(problems, strength, begin, _FINAL_TOLERANCE).parameters[:, 0]

    def head(self, parameters: Tensor) -> LinearHead:
        """Parameters on the principal axes (R, K) → a head on raw features."""
        weight = (self.axes @ parameters[:-1]) / self.scale[:, None]
        bias = parameters[-1] - self.mean @ weight
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


def _as_double(features: Tensor | NDArray[Any]) -> Tensor:
    if isinstance(features, Tensor):
        return features.detach().to(device="cpu", dtype=torch.float64)
    # A copy: torch must not be given a read-only array, such as a memory-mapped one.
    return torch.from_numpy(np.array(features, dtype=np.float64))


def _principal(standardised: Tensor) -> tuple[Tensor, Tensor]:
    """Rows on their principal axes plus a constant column (N, R + 1), and the axes (D, R).

    Exact for every model with an L2 penalty: the axes are orthonormal and span all rows.
    """
    rows, width = standardised.shape
    if width <= rows:
        axes = torch.linalg.eigh(standardised.T @ standardised).eigenvectors
    else:
        energies, left = torch.linalg.eigh(standardised @ standardised.T)
        kept = energies > 1e-12 * energies[-1].clamp_min(torch.finfo(torch.float64).tiny)
        axes = standardised.T @ (left[:, kept] / energies[kept].sqrt())
    turned = standardised @ axes
    return torch.cat([turned, turned.new_ones(rows, 1)], dim=1), axes


def _logistic_path(rows: _Rows, folds: NDArray[np.int64], strengths: Sequence[float]) -> list[_Tried]:
    """Every fold and the full fit at each strength, from strong to weak."""
    count = int(folds.max()) + 1
    fold = torch.as_tensor(folds)
    masks = torch.cat(
        [fold[:, None] != torch.arange(count), torch.ones(len(fold), 1, dtype=torch.bool)], dim=1
    )
    problems = rows.problems(masks.double())
    solution = newton.Solution.zero(problems)
    numbers = torch.arange(len(fold))
    tried = []
    for strength in strengths:
        solution = newton.solve(problems, strength, solution, _PATH_TOLERANCE)
        loss = rows.weights * problems.loss(solution.logits)[numbers, fold]
        total = rows.weights.mean(dim=1).sum()
        held_out = solution.logits[numbers, fold]
        tried.append(_Tried(strength, float(loss.sum() / total), held_out, solution.parameters[:, -1]))
        # Weaker penalties overfit more and cost most: past the valley there is nothing to find.
        if len(tried) > 2 and tried[-3].loss < tried[-2].loss < tried[-1].loss:
            break
    return tried


def _ridge_path(rows: _Rows, folds: NDArray[np.int64], strengths: Sequence[float]) -> list[_Tried]:
    held_out = ridge.held_out_path(rows.design, rows.columns, torch.as_tensor(folds), strengths)
    losses = (held_out - rows.columns).square().mean(dim=(1, 2))
    triples = zip(strengths, losses, held_out, strict=True)
    return [_Tried(strength, float(loss), values, None) for strength, loss, values in triples]
