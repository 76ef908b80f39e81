"""The exact head of rows that are read chunk by chunk: see `cutpoint.heads.streamed`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cutpoint.heads import newton, ridge
from cutpoint.heads.answers import Answers
from cutpoint.heads.chunks import Features, Rows, chunks, look_at, scaling_of
from cutpoint.heads.design import is_sparse
from cutpoint.heads.modules import LinearHead
from cutpoint.heads.paths import (
    FINAL_TOLERANCE,
    PATH_TOLERANCE,
    Chosen,
    best,
    follow,
)
from cutpoint.heads.ridge import Moments
from cutpoint.heads.streamed import StreamedProblems

HELD_BYTES = 32 << 20
"""Of the features in float64: what is more is streamed. A solver in memory holds several times as much."""


def is_streamed(features: Features) -> bool:
    """Whether there are many, and most of them are not zero."""
    return are_many(*features.shape) and not is_sparse(features, look_at(features))


def are_many(rows: int, width: int) -> bool:
    """Whether so many rows are not held, and are narrow enough for a matrix of their width squared."""
    return rows > width and 8 * rows * width > HELD_BYTES


class StreamedRows:
    """Rows on disk, and their targets.

    Attributes:
        are_many: They always are.
    """

    are_many = True

    def __init__(self, features: Features, answers: Answers) -> None:
        self.features, self.answers = features, answers
        self.scaling = scaling_of(features)
        self.is_regression = answers.task.kind == "regression"
        self.problem = StreamedProblems(
            features,
            np.arange(len(features)),
            answers,
            self.scaling,
            answers.outputs,
            answers.task.kind == "multiclass",
        )

    def choose(self, folds: Tensor, strengths: Sequence[float], out_of_fold: bool) -> Chosen:
        """One fold at each strength, and all at the best one where each row's prediction is asked for."""
        numbers = folds.numpy()
        if self.is_regression:
            return self._ridge_path(numbers, strengths)
        kept, held = (self.problem.of(np.flatnonzero(rows)) for rows in (numbers != 0, numbers == 0))

        def loss(solution: newton.Solution) -> float:
            return float(held.loss(solution.parameters) / held.totals)

        path, _ = follow(strengths, kept.zero(), partial(newton.solve, kept), loss, PATH_TOLERANCE, rises=1)
        return Chosen(path, self._held_out(numbers, path[best(path)][0]) if out_of_fold else None)

    def solve(self, strength: float, start: Tensor | None) -> Tensor:
        """Parameters (R, K) of the fit on all rows, to the final tolerance."""
        if self.is_regression:
            return self._ridge(self._moments(self.problem.rows), [strength])[0]
        begin = newton.approach(self.problem, strength) if start is None else self.problem.at(start)
        return newton.solve(self.problem, strength, begin, FINAL_TOLERANCE).parameters[:, 0]

    def head(self, parameters: Tensor) -> LinearHead:
        """Parameters (R, K) → a head on raw features."""
        return self.answers.head(*self.scaling.raw(parameters))

    def _held_out(self, folds: Rows, strength: float) -> Tensor:
        """Logits (N, K) of each row by the fit without its fold."""
        result = torch.empty(len(folds), self.answers.outputs)
        for fold in range(int(folds.max()) + 1):
            kept = self.problem.of(np.flatnonzero(folds != fold))
            begin = newton.approach(kept, strength)
            solution = newton.solve(kept, strength, begin, PATH_TOLERANCE)
            for part in kept.of(np.flatnonzero(folds == fold)).parts(solution.parameters):
                result[part.rows] = part.logits[:, 0].float()
        return result

    def _ridge_path(self, folds: Rows, strengths: Sequence[float]) -> Chosen:
        """A decomposition a fold of what all rows without it sum up to."""
        of_folds = [self._moments(np.flatnonzero(folds == fold)) for fold in range(int(folds.max()) + 1)]
        everything = Moments.sum(of_folds)
        held_out = torch.empty(len(strengths), len(folds), self.answers.outputs)
        for fold, own in enumerate(of_folds):
            fits = self._ridge(everything.without(own), strengths)
            for part in self.problem.of(np.flatnonzero(folds == fold)).parts(torch.stack(fits, dim=1)):
                held_out[:, part.rows] = part.logits.transpose(0, 1).float()
        losses = torch.stack([self._squared(each) for each in held_out])
        path = [(strength, float(loss)) for strength, loss in zip(strengths, losses, strict=True)]
        return Chosen(path, held_out[best(path)])

    def _ridge(self, moments: Moments, strengths: Sequence[float]) -> list[Tensor]:
        """Parameters on the axes, at each strength."""
        return [self.scaling.lowered(fit) for fit in ridge.path(moments, strengths)]

    def _moments(self, rows: Rows) -> Moments:
        parts = (
            Moments.of(self.scaling.standardised(chunk, torch.float64), self.answers.columns(part))
            for part, chunk in chunks(self.features, rows)
        )
        return Moments.sum(parts)

    def _squared(self, values: Tensor) -> Tensor:
        """Mean squared error of (N, K)."""
        return (values - self.answers.columns()).square().mean()
