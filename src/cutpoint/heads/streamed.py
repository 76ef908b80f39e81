"""The same logistic regressions where the features do not fit into memory: every product reads them chunk by chunk.

Nothing is held but parameters: logits are computed again for each product, which makes it half as dear again as in
memory and keeps what is held independent of the number of rows. The optimum is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cutpoint.heads.chunks import Features, Rows, Scaling, chunks
from cutpoint.heads.design import Matrix
from cutpoint.heads.newton import Bend, Curvature, Losses, Problems, Solution
from cutpoint.runtime import hand_back_much

Answers = Callable[[Rows], tuple[Tensor, Tensor]]
"""Rows → their targets (n, K) and weights (n, 1) or (n, K), float64."""


@dataclass(frozen=True)
class StreamedProblems(Problems):
    """One problem over some rows of features on disk.

    Attributes:
        features: (N, D), read as needed.
        rows: Those of them that count.
        answers: Targets and weights.
        scaling: Of the features.
        outputs: K.
        exclusive: As of `Losses`.
    """

    features: Features
    rows: Rows
    answers: Answers
    scaling: Scaling
    outputs: int
    exclusive: bool

    @property
    def columns(self) -> int:
        """R, one more than features are wide."""
        return len(self.scaling.squares)

    @property
    def totals(self) -> Tensor:
        """(1,), without a look at the features."""
        size = 1 << 16
        parts = (self.rows[start : start + size] for start in range(0, len(self.rows), size))
        return torch.stack([self.answers(part)[1].mean(dim=1).sum() for part in parts]).sum()[None]

    def of(self, rows: Rows) -> StreamedProblems:
        """The same problem on other rows."""
        return replace(self, rows=rows)

    def select(self, chosen: Tensor) -> StreamedProblems:
        """There is but one."""
        return self

    def zero(self) -> Solution:
        """Zeros; no logits are held."""
        return self.at(torch.zeros(self.columns, self.outputs, dtype=torch.float64))

    def at(self, parameters: Tensor) -> Solution:
        """A start at parameters (R, K)."""
        return Solution(parameters[:, None], parameters.new_zeros(0, 1, self.outputs))

    def slope(self, at: Solution) -> tuple[Tensor, Tensor]:
        """One pass in float64, the first of a step."""
        hand_back_much()
        loss, gradient = at.parameters.new_zeros(1), torch.zeros_like(at.parameters)
        for part in self.parts(at.parameters):
            loss += part.losses.summed(part.logits)
            gradient += part.matrix.correlations(part.losses.residual(part.logits))
        return loss, self.scaling.lowered(gradient)

    def curvature(self, at: Solution) -> Curvature:
        """Computed anew, chunk by chunk, in every product."""
        return _StreamedCurvature(self, at.parameters.float())

    def along(self, at: Solution, direction: Tensor) -> Callable[[Tensor], tuple[Solution, Tensor]]:
        """A pass for every length."""

        def step(lengths: Tensor) -> tuple[Solution, Tensor]:
            there = Solution(at.parameters + lengths[:, None] * direction, at.logits)
            return there, self.loss(there.parameters)

        return step

    def loss(self, parameters: Tensor) -> Tensor:
        """Summed loss (1,) at parameters (R, 1, K)."""
        losses = parameters.new_zeros(1)
        for part in self.parts(parameters):
            losses += part.losses.summed(part.logits)
        return losses

    def parts(self, parameters: Tensor) -> Iterator[_Part]:
        """Chunk by chunk, what is to be computed at parameters (R, 1, K), in their precision."""
        lifted, dtype = self.scaling.lifted(parameters), parameters.dtype
        for rows, chunk in chunks(self.features, self.rows):
            targets, weights = (each.to(dtype) for each in self.answers(rows))
            matrix = _Chunk(self.scaling.standardised(chunk, dtype))
            losses = Losses(targets, weights[:, None], self.exclusive)
            yield _Part(rows, matrix, losses, matrix.values(lifted))


@dataclass(frozen=True)
class _Part:
    """Some rows and their logits (n, 1, K)."""

    rows: Rows
    matrix: Matrix
    losses: Losses
    logits: Tensor


@dataclass(frozen=True)
class _StreamedCurvature(Curvature):
    """Sums over chunks."""

    problems: StreamedProblems
    parameters: Tensor

    def diagonal(self) -> Tensor:
        total = torch.zeros_like(self.parameters[0])
        for part in self.problems.parts(self.parameters):
            total += Bend(part.losses, part.logits).diagonal.sum(dim=0)
        return self.problems.scaling.squares[:, None, None] * total

    def product(self, search: Tensor) -> Tensor:
        scaling, total = self.problems.scaling, torch.zeros_like(search)
        lifted = scaling.lifted(search)
        for part in self.problems.parts(self.parameters):
            change = Bend(part.losses, part.logits).times(part.matrix.values(lifted))
            total += part.matrix.correlations(change)
        return scaling.lowered(total)


class _Chunk(Matrix):
    """Standardised features as they are, and the constant beside them."""

    def __init__(self, values: Tensor) -> None:
        self.matrix = values

    def _times(self, right: Tensor) -> Tensor:
        return torch.addmm(right[-1:], self.matrix, right[:-1])

    def _transposed_times(self, right: Tensor) -> Tensor:
        return torch.cat([self.matrix.T @ right, right.sum(dim=0, keepdim=True)])
