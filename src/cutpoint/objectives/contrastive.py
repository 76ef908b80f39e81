"""Contrastive tuning of a backbone on few examples: equal classes are pulled together, others pushed apart.

SetFit (Tunstall et al. 2022, arXiv 2209.11055) with the loss of sentence-transformers' `CosineSimilarityLoss`;
instead of a list of drawn pairs, every pair within a batch counts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutpoint.errors import RegimeError
from cutpoint.types import Task


class ContrastiveLoss(nn.Module):
    """Squared error of the cosine similarity of two rows against 1 (same class) or 0 (another one).

    Pairs of one class and pairs of two count the same in total, however many a batch holds of each: SetFit draws
    as many of the one as of the other.

    Args:
        task: What is predicted.

    Raises:
        RegimeError: The task does not give each example exactly one class.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        if not task.is_classification:
            raise RegimeError(
                f"The contrastive objective compares examples of the same class with others, and a {task.kind} "
                "task does not give each example one class.",
                "Choose a regime with the supervised objective.",
            )
        self.task = task

    def weight(self, targets: Tensor) -> Tensor:
        """1: all pairs of a batch are one whole."""
        return torch.ones((), device=targets.device)

    def total(self, features: Tensor, targets: Tensor) -> Tensor:
        """The loss itself."""
        loss: Tensor = self(features, targets)
        return loss

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Pooled features (B, width) and class numbers int64 (B,) → scalar; 0 where there is no pair."""
        unit = F.normalize(features.float() if features.dtype.itemsize < 4 else features, dim=1)
        above = torch.ones(len(unit), len(unit), dtype=torch.bool, device=unit.device).triu(diagonal=1)
        same = (targets[:, None] == targets)[above]
        errors = ((unit @ unit.T)[above] - same.to(unit.dtype)).square()
        means = [errors[kind].mean() for kind in (same, ~same) if bool(kind.any())]
        return torch.stack(means).mean() if means else errors.sum()
