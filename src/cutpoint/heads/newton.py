"""Many penalised logistic regressions over the same rows, solved at once to the optimum.

Each problem s is scikit-learn's: sum of weighted losses + ||w||² / (2 C), bias not penalised; the problems
differ in which rows count (folds). All are stacked side by side, so that one matrix product serves them all.

The method is Newton's with preconditioned conjugate gradients (Lin, Weng & Keerthi 2008, "Trust region
Newton method for large-scale logistic regression"). The preconditioner is the Hessian's diagonal: where the
columns of the design are (nearly) orthogonal it needs a handful of products.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from cutpoint.heads.design import Design

_NEWTON_STEPS = 60
_CONJUGATE_STEPS = 60
_HALVINGS = 30
_STRONGER = (1e-3, 1e-2, 1e-1)
_ROUGH_TOLERANCE = 1e-2
_SLACK = 0.1
"""Of the tolerance: what conjugate gradients need not gain any more."""


@dataclass
class Solution:
    """Parameters (R, S, K) and the logits (N, S, K) that they give; (0, S, K) where the rows are read as needed."""

    parameters: Tensor
    logits: Tensor


class Curvature(ABC):
    """The Hessian of S problems' summed losses at a point, in float32: all that search directions need."""

    @abstractmethod
    def diagonal(self) -> Tensor:
        """What (nearly) stands on its diagonal, (R, S, K)."""

    @abstractmethod
    def product(self, search: Tensor) -> Tensor:
        """Times directions (R, S, K)."""


class Problems(ABC):
    """S stacked problems over N rows."""

    @property
    @abstractmethod
    def columns(self) -> int:
        """R, the last of which is the constant 1 of the bias."""

    @property
    @abstractmethod
    def totals(self) -> Tensor:
        """(S,) float64: summed weights of each problem's rows."""

    @abstractmethod
    def select(self, chosen: Tensor) -> Problems:
        """The problems of those numbers alone."""

    @abstractmethod
    def zero(self) -> Solution:
        """Where the path starts: all probabilities equal."""

    @abstractmethod
    def slope(self, at: Solution) -> tuple[Tensor, Tensor]:
        """Summed loss (S,) and its gradient (R, S, K)."""

    @abstractmethod
    def curvature(self, at: Solution) -> Curvature:
        """The Hessian there."""

    @abstractmethod
    def along(self, at: Solution, direction: Tensor) -> Callable[[Tensor], tuple[Solution, Tensor]]:
        """Of step lengths (S,): the solutions there and their summed losses (S,)."""


@dataclass(frozen=True)
class Losses:
    """What N rows say of S problems, given their logits (N, S, K).

    Attributes:
        targets: (N, K): one-hot classes, or 0/1 for independent labels.
        weights: (N, S, 1) or (N, S, K): what each row counts in each problem; zero where held out.
        exclusive: Softmax over the K columns; otherwise K independent logistic regressions.
    """

    targets: Tensor
    weights: Tensor
    exclusive: bool

    def loss(self, logits: Tensor) -> Tensor:
        """Loss of each row in each problem: (N, S, 1), or (N, S, K) for independent labels."""
        targets = self.targets.unsqueeze(1)
        if self.exclusive:
            return logits.logsumexp(dim=2, keepdim=True) - (targets * logits).sum(dim=2, keepdim=True)
        return F.softplus(logits) - targets * logits

    def summed(self, logits: Tensor) -> Tensor:
        """(S,) weighted losses."""
        return (self.weights * self.loss(logits)).sum(dim=(0, 2))

    def residual(self, logits: Tensor) -> Tensor:
        """(N, S, K) derivative of the weighted loss."""
        return self.weights * (self.probabilities(logits) - self.targets.unsqueeze(1))

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N, S, K)."""
        return logits.softmax(dim=2) if self.exclusive else logits.sigmoid()


class Bend:
    """Second derivatives of weighted losses at logits, in float32."""

    def __init__(self, losses: Losses, logits: Tensor) -> None:
        probabilities = losses.probabilities(logits)
        self.exclusive = losses.exclusive
        # In float32 a probability rounds to 1 long before the gradient is 0, and nothing would be left to divide by.
        self.diagonal = (losses.weights * probabilities * (1 - probabilities)).float()
        self.probabilities = probabilities.float()
        self.weighted = losses.weights.float() * self.probabilities

    def times(self, change: Tensor) -> Tensor:
        """Change of the residual that a change of the logits (N, S, K) brings."""
        if self.exclusive:
            return self.weighted * (change - (self.probabilities * change).sum(dim=2, keepdim=True))
        return self.diagonal * change


@dataclass(frozen=True)
class LogisticProblems(Losses, Problems):
    """Problems whose rows are in memory.

    Attributes:
        design: (N, R), the last column the constant 1 of the bias.
    """

    design: Design

    @property
    def columns(self) -> int:
        """R."""
        return self.design.columns

    @property
    def totals(self) -> Tensor:
        """Independent labels share one total: their weights differ by label, their rows do not."""
        return self.weights.mean(dim=2).sum(dim=0)

    def select(self, chosen: Tensor) -> LogisticProblems:
        """The problems of those numbers alone."""
        return replace(self, weights=self.weights[:, chosen])

    def rows(self, chosen: Tensor | slice) -> LogisticProblems:
        """The same problems on some rows alone, by a mask (N,) or a slice."""
        return LogisticProblems(
            self.targets[chosen], self.weights[chosen], self.exclusive, self.design.rows(chosen)
        )

    def zero(self) -> Solution:
        """Zeros of all sizes."""
        count, (rows, outputs) = self.weights.shape[1], self.targets.shape
        zeros = self.targets.new_zeros
        return Solution(zeros(self.columns, count, outputs), zeros(rows, count, outputs))

    def at(self, parameters: Tensor) -> Solution:
        """A single problem's start at parameters (R, K)."""
        return Solution(parameters[:, None], self.design.values(parameters)[:, None])

    def slope(self, at: Solution) -> tuple[Tensor, Tensor]:
        """From the logits that are held."""
        return self.summed(at.logits), self.design.correlations(self.residual(at.logits))

    def curvature(self, at: Solution) -> Curvature:
        """From the logits that are held."""
        return _HeldCurvature(self.design, Bend(self, at.logits))

    def along(self, at: Solution, direction: Tensor) -> Callable[[Tensor], tuple[Solution, Tensor]]:
        """One product with the design for all lengths."""
        slope = self.design.values(direction)

        def step(lengths: Tensor) -> tuple[Solution, Tensor]:
            length = lengths[:, None]
            there = Solution(at.parameters + length * direction, at.logits + length * slope)
            return there, self.summed(there.logits)

        return step


@dataclass(frozen=True)
class _HeldCurvature(Curvature):
    """Of rows in memory."""

    design: Design
    bend: Bend

    def diagonal(self) -> Tensor:
        return self.design.diagonal(self.bend.diagonal)

    def product(self, search: Tensor) -> Tensor:
        return self.design.correlations(self.bend.times(self.design.values(search)))


def approach(problems: Problems, strength: float) -> Solution:
    """A start for `solve`: roughly the optimum under stronger penalties, one after the other.

    Where the classes separate, steps from zero straight to a weak penalty overshoot and are cut short; along the
    path nearly every step is a full one.
    """
    solution = problems.zero()
    for stronger in _STRONGER:
        solution = solve(problems, strength * stronger, solution, _ROUGH_TOLERANCE)
    return solution


def solve(problems: Problems, strength: float, start: Solution, tolerance: float) -> Solution:
    """The optimum of every problem at inverse penalty `strength`, from a warm start.

    A problem is solved when the step just taken started within `tolerance` of the optimal mean loss, by
    Newton's decrement; solved problems drop out of the products.
    """
    parameters, logits = start.parameters.clone(), start.logits.clone()
    active = torch.arange(len(problems.totals))
    for _ in range(_NEWTON_STEPS):
        step = _NewtonStep(problems.select(active), strength, tolerance)
        improved, decrement = step.take(Solution(parameters[:, active], logits[:, active]))
        parameters[:, active], logits[:, active] = improved.parameters, improved.logits
        active = active[decrement > tolerance]
        if len(active) == 0:
            break
    return Solution(parameters, logits)


class _NewtonStep:
    """One step on stacked problems, each scaled to its mean loss so that tolerances mean the same in all."""

    def __init__(self, problems: Problems, strength: float, tolerance: float) -> None:
        self.problems = problems
        self.slack = _SLACK * tolerance
        self.totals = problems.totals.clamp_min(torch.finfo(torch.float64).tiny)
        penalty = self.totals.new_ones(problems.columns, 1, 1)
        penalty[-1] = 0.0
        self.penalty = penalty / (strength * self.totals[:, None])

    def take(self, at: Solution) -> tuple[Solution, Tensor]:
        """The improved solution, and how far (S,) each problem's loss is expected to fall by it."""
        loss, gradient = self.problems.slope(at)
        gradient = gradient / self.totals[:, None] + self.penalty * at.parameters
        direction = self._conjugate_gradients(self.problems.curvature(at), gradient.float()).double()
        decrement = -(gradient * direction).sum(dim=(0, 2))
        improved = self._line_search(at, direction, self._objective(loss, at), decrement)
        return improved, decrement / 2

    def _conjugate_gradients(self, curvature: Curvature, gradient: Tensor) -> Tensor:
        """Newton's direction (R, S, K), in float32."""
        totals, penalty = self.totals.float()[:, None], self.penalty.float()
        diagonal = curvature.diagonal() / totals + penalty + torch.finfo(torch.float32).tiny
        direction = torch.zeros_like(gradient)
        residual = -gradient
        scaled = residual / diagonal
        search = scaled
        energy = first = _inner(residual, scaled)
        # Loose far from the optimum, tight near it, never tighter than was asked: superlinear convergence without
        # wasted products.
        goal = (first * first.sqrt().clamp(max=0.25).square()).clamp_min(self.slack)
        for _ in range(_CONJUGATE_STEPS):
            product = curvature.product(search) / totals + penalty * search
            length = _ratio(energy, _inner(search, product))
            direction = direction + length * search
            residual = residual - length * product
            scaled = residual / diagonal
            previous, energy = energy, _inner(residual, scaled)
            if bool((energy <= goal).all()):
                break
            search = scaled + _ratio(energy, previous) * search
        return direction

    def _line_search(self, at: Solution, direction: Tensor, before: Tensor, decrement: Tensor) -> Solution:
        """Halve the step of each problem until its objective falls enough (Armijo); where it never does, stay."""
        length = torch.ones_like(decrement)
        slack = 1e-14 * before.abs()
        step = self.problems.along(at, direction)
        for _ in range(_HALVINGS):
            there, loss = step(length)
            enough = self._objective(loss, there) <= before - 1e-4 * length * decrement + slack
            if bool(enough.all()):
                return there
            length = torch.where(enough, length, length / 2)
        return step(torch.where(enough, length, torch.zeros_like(length)))[0]

    def _objective(self, loss: Tensor, at: Solution) -> Tensor:
        return loss / self.totals + (self.penalty * at.parameters.square()).sum(dim=(0, 2)) / 2


def _inner(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(dim=(0, 2))[:, None]


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """A solved problem has nothing left to divide by; it stays where it is."""
    return torch.where(below > 0, above / below.clamp_min(torch.finfo(below.dtype).tiny), 0.0)
