"""The exact linear head: the optimum of a convex problem, its regularisation chosen by cross-validation.

Logistic regression for labels, ridge regression for values, both with an L2 penalty on standardised features:
scikit-learn's objectives, `sum of losses + ||w||² / (2 C)`, with a bias that is not penalised.

What makes it fast is exact too. The optimum lies in the span of the rows, so that more features than rows
cost nothing; turned onto their principal axes, the features need a handful of Newton products; and all folds
and the full fit are solved together, each strength from the optimum of the one before. Of many rows one fold
alone chooses the strength, and features that do not fit into memory are read chunk by chunk; the fit on all rows is
the optimum there too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cutpoint.errors import DataError
from cutpoint.heads.answers import Answers
from cutpoint.heads.chunks import Features, as_array
from cutpoint.heads.folds import assign_folds
from cutpoint.heads.held import HeldRows
from cutpoint.heads.modules import LinearHead
from cutpoint.heads.streamed_path import StreamedRows, is_streamed
from cutpoint.runtime import hand_back_much, one_thread
from cutpoint.types import Task

LOGISTIC_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2)
"""Inverse penalties C from strong to weak: a thousand standardised features want about 1e-3, ten about 1."""
RIDGE_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2)
"""The same for ridge regression (penalty alpha = 1 / C, targets of unit variance)."""
DEFAULT_STRENGTH = 1.0
"""Used where the examples allow no cross-validation; scikit-learn's default."""

# Of that many rows a third is plenty to tell strengths apart that lie a decade apart, and no loss rises by chance.
_FOLDS_OF_MANY = 3
_FOR_ONE_THREAD = 4_000_000
"""Multiply-adds of one problem's product, a fifth of a millisecond: below, threads wait longer than they work."""


@dataclass(frozen=True)
class ExactHead:
    """A solved head and how its strength was chosen.

    Attributes:
        head: Answers in logits (classes, labels) or in the units of the targets; standardisation is folded
            into its weights.
        strength: The inverse penalty C that was used.
        path: (strength, mean held-out loss) for each strength tried, from strong to weak; empty without
            cross-validation. It ends early where the loss rises twice in a row (once, of many rows), and is rough
            where it is clearly worse than the best. The loss is the log loss (summed over labels), or the squared
            error in units of the targets' variance.
        out_of_fold: (N, outputs) float32 predictions for each row by the fit that did not see it; None
            without cross-validation, or where they were not asked for and cost extra.
        folds: Number of inner folds; 0 without cross-validation.
    """

    head: LinearHead
    strength: float
    path: tuple[tuple[float, float], ...] = ()
    out_of_fold: NDArray[np.float32] | None = None
    folds: int = 0


def fit_exact(
    features: Tensor | Features,
    targets: NDArray[Any],
    task: Task,
    *,
    class_weights: ArrayLike | None = None,
    strengths: Sequence[float] | None = None,
    inner_folds: int = 5,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
    out_of_fold: bool = True,
) -> ExactHead:
    """Choose the strength by the least held-out loss (ties: the stronger penalty) and fit on all rows.

    Args:
        features: (N, D) float. An array on disk (a memory map, or `Chosen` rows of one) is read as needed.
        targets: As in `Dataset.targets`, for these rows.
        task: What is predicted.
        class_weights: (classes,) weight of each class's loss; for multi-label (labels,) weight of positives.
        strengths: Inverse penalties to try; by default eight, a decade apart.
        inner_folds: Folds at most; fewer where there are fewer rows or groups, and three of many rows. Where a
            class has a single example there are none, and the strength is `DEFAULT_STRENGTH`.
        groups: (N,) rows of one group are held out together.
        seed: Deals the rows to the folds.
        out_of_fold: Whether predictions by fits without each row are wanted; of many rows they take most of the time.

    Raises:
        DataError: Features that are not finite, or of another length than the targets.
    """
    usual = RIDGE_STRENGTHS if task.kind == "regression" else LOGISTIC_STRENGTHS
    with _opened(features, Answers(targets, task, class_weights)) as rows:
        most = min(inner_folds, _FOLDS_OF_MANY) if rows.are_many else inner_folds
        folds = assign_folds(np.asarray(targets), task, most, groups, seed)
        if folds is None:
            return ExactHead(head=rows.head(rows.solve(DEFAULT_STRENGTH, None)), strength=DEFAULT_STRENGTH)
        chosen = rows.choose(torch.as_tensor(folds), sorted(strengths or usual), out_of_fold)
        return ExactHead(
            head=rows.head(rows.solve(chosen.strength, chosen.start)),
            strength=chosen.strength,
            path=tuple(chosen.path),
            out_of_fold=None if chosen.held_out is None else rows.answers.predictions(chosen.held_out),
            folds=int(folds.max()) + 1,
        )


def fit_exact_strength(
    features: Tensor | Features,
    targets: NDArray[Any],
    task: Task,
    strength: float,
    *,
    class_weights: ArrayLike | None = None,
) -> ExactHead:
    """Fit on all rows at a given inverse penalty, without cross-validation; arguments as in `fit_exact`."""
    with _opened(features, Answers(targets, task, class_weights)) as rows:
        return ExactHead(head=rows.head(rows.solve(strength, None)), strength=strength)


@contextmanager
def _opened(features: Tensor | Features, answers: Answers) -> Iterator[HeldRows | StreamedRows]:
    """The rows; while they are open, small products are made by one thread."""
    if len(features) != len(answers):
        raise DataError(
            f"{len(features)} rows of features but {len(answers)} targets.",
            "Give one row of features for each target.",
        )
    hand_back_much()
    values = as_array(features)
    work = len(values) * values.shape[1] * answers.outputs
    with nullcontext() if work > _FOR_ONE_THREAD else one_thread():
        yield StreamedRows(values, answers) if is_streamed(values) else HeldRows(values, answers)
