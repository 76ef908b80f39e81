"""The exact head of rows that fit into memory: all folds side by side, or of many rows one alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from cutpoint.heads import newton, ridge
from cutpoint.heads.answers import Answers
from cutpoint.heads.chunks import Features
from cutpoint.heads.design import DenseDesign, design_of
from cutpoint.heads.modules import LinearHead
from cutpoint.heads.paths import (
    FINAL_TOLERANCE,
    PATH_TOLERANCE,
    Chosen,
    best,
    follow,
)

_MANY = 50_000_000
"""Multiply-adds of one product, rows × columns × outputs: from here on a cross-validation would take minutes."""
_MANY_LOGITS = 1 << 19
"""Of all folds side by side: a step of the solver holds a dozen arrays of that size."""
_STACKED = 6
"""Problems that are usually solved side by side: five folds and all rows."""
_NARROWEST = 100
"""However narrow the features are, exponentials of all logits take as long as so many columns."""


class HeldRows:
    """Rows as a design, and their targets; arguments as for `fit_exact`."""

    def __init__(self, features: Features, answers: Answers) -> None:
        self.task, self.answers = answers.task, answers
        self.design = design_of(features, dense=self.task.kind == "regression")
        self.columns, self.weights = answers(slice(None))

    @property
    def are_many(self) -> bool:
        """Whether a product with the features takes so long, or so much, that not every fold can be followed."""
        work = self.columns.numel() * max(self.design.columns, _NARROWEST)
        return work > _MANY or self.columns.numel() * _STACKED > _MANY_LOGITS

    @property
    def matrix(self) -> Tensor:
        """(N, R) of a dense design."""
        assert isinstance(self.design, DenseDesign)
        return self.design.matrix

    def reorder(self, order: Tensor) -> None:
        """Put the rows into another order (N,): no answer depends on it."""
        self.design.reorder(order)
        self.columns, self.weights = self.columns[order], self.weights[order]

    def problems(self, masks: Tensor) -> newton.LogisticProblems:
        """One problem for each column of masks (N, S)."""
        return newton.LogisticProblems(
            design=self.design,
            targets=self.columns,
            weights=masks[:, :, None] * self.weights[:, None, :],
            exclusive=self.task.kind == "multiclass",
        )

    def solve(self, strength: float, start: Tensor | None) -> Tensor:
        """Parameters (R, K) of the fit on all rows, to the final tolerance."""
        if self.task.kind == "regression":
            return ridge.solve(self.matrix, self.columns, strength)
        problems = self.problems(self.columns.new_ones(len(self.columns), 1))
        if start is not None:
            begin = problems.at(start)
        elif self.are_many:
            begin = newton.approach(problems, strength)
        else:
            begin = problems.zero()
        return newton.solve(problems, strength, begin, FINAL_TOLERANCE).parameters[:, 0]

    def choose(self, folds: Tensor, strengths: Sequence[float], out_of_fold: bool) -> Chosen:
        """Follow the path; predictions without each row where they cost nothing more, or are asked for."""
        if self.task.kind == "regression":
            return _ridge_path(self, folds, strengths)
        if self.are_many:
            return _single_path(self, folds, strengths, out_of_fold)
        return _stacked_path(self, folds, strengths)

    def head(self, parameters: Tensor) -> LinearHead:
        """Parameters of the design (R, K) → a head on raw features."""
        return self.answers.head(*self.design.raw(parameters))


def _stacked_path(rows: HeldRows, folds: Tensor, strengths: Sequence[float]) -> Chosen:
    """Every fold and the full fit at each strength, side by side."""
    count = int(folds.max()) + 1
    masks = torch.cat(
        [folds[:, None] != torch.arange(count), torch.ones(len(folds), 1, dtype=torch.bool)], dim=1
    )
    problems = rows.problems(masks.double())
    numbers = torch.arange(len(folds))
    total = rows.weights.mean(dim=1).sum()

    def loss(solution: newton.Solution) -> float:
        return float((rows.weights * problems.loss(solution.logits)[numbers, folds]).sum() / total)

    path, kept = follow(
        strengths, problems.zero(), partial(newton.solve, problems), loss, PATH_TOLERANCE, rises=2
    )
    return Chosen(path, kept.logits[numbers, folds], kept.parameters[:, -1])


def _single_path(rows: HeldRows, folds: Tensor, strengths: Sequence[float], out_of_fold: bool) -> Chosen:
    """One fold at each strength, and all at the best one where each row's prediction is asked for."""
    # With the held-out rows last, neither part is a copy.
    order = torch.argsort((folds == 0).byte(), stable=True)
    rows.reorder(order)
    folds = folds[order]
    first_held = int((folds != 0).sum())
    whole = rows.problems(rows.columns.new_ones(len(folds), 1))
    kept, held = whole.rows(slice(first_held)), whole.rows(slice(first_held, None))
    total = held.weights.mean(dim=2).sum()

    def loss(solution: newton.Solution) -> float:
        return float((held.weights * held.loss(held.design.values(solution.parameters))).sum() / total)

    path, _ = follow(strengths, kept.zero(), partial(newton.solve, kept), loss, PATH_TOLERANCE, rises=1)
    if not out_of_fold:
        return Chosen(path, None)
    held_out = torch.empty_like(whole.targets)
    held_out[order] = _held_out(whole, folds, path[best(path)][0])
    return Chosen(path, held_out)


def _held_out(whole: newton.LogisticProblems, folds: Tensor, strength: float) -> Tensor:
    """Logits (N, K) of each row by the fit without its fold.

    No fit starts from another fold's optimum: that is so sure of its own rows that Newton's steps are worth little
    on others.
    """
    result = torch.empty_like(whole.targets)
    for fold in range(int(folds.max()) + 1):
        kept, held = whole.rows(folds != fold), folds == fold
        solution = newton.solve(kept, strength, newton.approach(kept, strength), PATH_TOLERANCE)
        result[held] = whole.design.rows(held).values(solution.parameters)[:, 0]
    return result


def _ridge_path(rows: HeldRows, folds: Tensor, strengths: Sequence[float]) -> Chosen:
    held_out = ridge.held_out_path(rows.matrix, rows.columns, folds, strengths)
    losses = (held_out - rows.columns).square().mean(dim=(1, 2))
    path = [(strength, float(loss)) for strength, loss in zip(strengths, losses, strict=True)]
    return Chosen(path, held_out[best(path)])
