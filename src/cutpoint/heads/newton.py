"""Many penalised logistic regressions over the same rows, solved at once to the optimum.

Each problem s is scikit-learn's: sum of weighted losses + ||w||² / (2 C), bias not penalised; the problems
differ in which rows count (folds). All are stacked side by side, so that one matrix product serves them all.

The method is Newton's with preconditioned conjugate gradients (Lin, Weng & Keerthi 2008, "Trust region
Newton method for large-scale logistic regression"). The preconditioner is the Hessian's diagonal: where the
columns of the design are (nearly) orthogonal it needs a handful of products.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class LogisticProblems:
    """S stacked problems over N rows.

    Attributes:
        design: (N, R), the last column the constant 1 of the bias.
        targets: (N, K) float64: one-hot classes, or 0/1 for independent labels.
        weights: (N, S, 1) or (N, S, K) float64: what each row counts in each problem; zero where held out.
        exclusive: Softmax over the K columns; otherwise K independent logistic regressions.
    """

    design: Design
    targets: Tensor
    weights: Tensor
    exclusive: bool

    def loss(self, logits: Tensor) -> Tensor:
        """Loss of each row in each problem: (N, S, 1), or (N, S, K) for independent labels."""
        targets = self.targets.unsqueeze(1)
        if self.exclusive:
            return logits.logsumexp(dim=2, keepdim=True) - (targets * logits).sum(dim=2, keepdim=True)
        return F.softplus(logits) - targets * logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N, S, K) of logits of that shape."""
        return logits.softmax(dim=2) if self.exclusive else logits.sigmoid()

    def select(self, chosen: Tensor) -> LogisticProblems:
        """The problems of those numbers alone."""
        return replace(self, weights=self.weights[:, chosen])

    def rows(self, chosen: Tensor) -> LogisticProblems:
        """The same problems on some rows alone, by a mask (N,)."""
        return LogisticProblems(
            self.design.rows(chosen), self.targets[chosen], self.weights[chosen], self.exclusive
        )


@dataclass
class Solution:
    """Parameters (R, S, K) and the logits (N, S, K) that they give."""

    parameters: Tensor
    logits: Tensor

    @staticmethod
    def zero(problems: LogisticProblems) -> Solution:
        """Where the path starts: all probabilities equal."""
        count, (rows, outputs) = problems.weights.shape[1], problems.targets.shape
        zeros = problems.targets.new_zeros
        return Solution(zeros(problems.design.columns, count, outputs), zeros(rows, count, outputs))

    @staticmethod
    def at(problems: LogisticProblems, parameters: Tensor) -> Solution:
        """A single problem's start at parameters (R, K)."""
        return Solution(parameters[:, None], problems.design.values(parameters)[:, None])


def approach(problems: LogisticProblems, strength: float) -> Solution:
    """A start for `solve`: roughly the optimum under stronger penalties, one after the other.

    Where the classes separate, steps from zero straight to a weak penalty overshoot and are cut short; along the
    path nearly every step is a full one.
    """
    solution = Solution.zero(problems)
    for stronger in _STRONGER:
        solution = solve(problems, strength * stronger, solution, _ROUGH_TOLERANCE)
    return solution


def solve(problems: LogisticProblems, strength: float, start: Solution, tolerance: float) -> Solution:
    """The optimum of every problem at inverse penalty `strength`, from a warm start.

    A problem is solved when the step just taken started within `tolerance` of the optimal mean loss, by
    Newton's decrement; solved problems drop out of the products.
    """
    parameters, logits = start.parameters.clone(), start.logits.clone()
    active = torch.arange(problems.weights.shape[1])
    for _ in range(_NEWTON_STEPS):
        step = _NewtonStep(problems.select(active), strength)
        improved, decrement = step.take(Solution(parameters[:, active], logits[:, active]))
        parameters[:, active], logits[:, active] = improved.parameters, improved.logits
        active = active[decrement > tolerance]
        if len(active) == 0:
            break
    return Solution(parameters, logits)


class _NewtonStep:
    """One step on stacked problems, each scaled to its mean loss so that tolerances mean the same in all."""

    def __init__(self, problems: LogisticProblems, strength: float) -> None:
        self.problems = problems
        # Independent labels share one total: their weights differ by label, their rows do not.
        totals = problems.weights.mean(dim=2).sum(dim=0).clamp_min(torch.finfo(torch.float64).tiny)
        self.weights = problems.weights / totals[:, None]
        penalty = problems.targets.new_ones(problems.design.columns, 1, 1)
        penalty[-1] = 0.0
        self.penalty = penalty / (strength * totals[:, None])

    def take(self, at: Solution) -> tuple[Solution, Tensor]:
        """The improved solution, and how far (S,) each problem's loss is expected to fall by it."""
        probabilities = self.problems.probabilities(at.logits)
        residual = self.weights * (probabilities - self.problems.targets.unsqueeze(1))
        gradient = self.problems.design.correlations(residual) + self.penalty * at.parameters
        # In float32 a probability rounds to 1 long before the gradient is 0, and nothing would be left to divide by.
        curvature = (self.weights * probabilities * (1 - probabilities)).float()
        direction = self._conjugate_gradients(probabilities.float(), curvature, gradient.float()).double()
        slope = self.problems.design.values(direction)
        decrement = -(gradient * direction).sum(dim=(0, 2))
        length = self._line_search(at, direction, slope, decrement)[:, None]
        improved = Solution(at.parameters + length * direction, at.logits + length * slope)
        return improved, decrement / 2

    def _conjugate_gradients(self, probabilities: Tensor, curvature: Tensor, gradient: Tensor) -> Tensor:
        """Newton's direction (R, S, K), in float32."""
        design, weights, penalty = self.problems.design, self.weights.float(), self.penalty.float()
        diagonal = design.diagonal(curvature) + penalty + torch.finfo(torch.float32).tiny
        weighted = weights * probabilities
        direction = torch.zeros_like(gradient)
        residual = -gradient
        scaled = residual / diagonal
        search = scaled
        energy = first = _inner(residual, scaled)
        # Loose far from the optimum, tight near it: superlinear convergence without wasted products.
        goal = first * first.sqrt().clamp(max=0.25).square()
        for _ in range(_CONJUGATE_STEPS):
            forth = design.values(search)
            if self.problems.exclusive:
                bent = weighted * (forth - (probabilities * forth).sum(dim=2, keepdim=True))
            else:
                bent = curvature * forth
            product = design.correlations(bent) + penalty * search
            length = _ratio(energy, _inner(search, product))
            direction = direction + length * search
            residual = residual - length * product
            scaled = residual / diagonal
            previous, energy = energy, _inner(residual, scaled)
            if bool((energy <= goal).all()):
                break
            search = scaled + _ratio(energy, previous) * search
        return direction

    def _line_search(self, at: Solution, direction: Tensor, slope: Tensor, decrement: Tensor) -> Tensor:
        """Halve the step of each problem until its objective falls enough (Armijo): (S,) lengths."""
        length = torch.ones_like(decrement)
        before = self._objective(at.parameters, at.logits)
        slack = 1e-14 * before.abs()
        for _ in range(_HALVINGS):
            step = length[:, None]
            after = self._objective(at.parameters + step * direction, at.logits + step * slope)
            enough = after <= before - 1e-4 * length * decrement + slack
            if bool(enough.all()):
                return length
            length = torch.where(enough, length, length / 2)
        return torch.where(enough, length, torch.zeros_like(length))

    def _objective(self, parameters: Tensor, logits: Tensor) -> Tensor:
        loss = (self.weights * self.problems.loss(logits)).sum(dim=(0, 2))
        return loss + (self.penalty * parameters.square()).sum(dim=(0, 2)) / 2


def _inner(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(dim=(0, 2))[:, None]


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """A solved problem has nothing left to divide by; it stays where it is."""
    return torch.where(below > 0, above / below.clamp_min(torch.finfo(below.dtype).tiny), 0.0)
