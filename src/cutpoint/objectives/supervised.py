"""The loss on labels, for every kind of task."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cutpoint.types import Task


def balanced_class_weights(targets: NDArray[np.int64], classes: int) -> Tensor:
    """Weights inversely proportional to class counts, with mean 1 over the examples.

    Args:
        targets: (N,) class numbers.
        classes: Number of classes; an absent one gets weight 0.

    Returns:
        (classes,) float32.
    """
    counts = np.bincount(targets, minlength=classes)
    present = counts > 0
    weights = np.where(present, len(targets) / (present.sum() * np.maximum(counts, 1)), 0.0)
    return torch.as_tensor(weights, dtype=torch.float32)


class SupervisedLoss(nn.Module):
    """Mean loss of a batch: cross-entropy, binary cross-entropy for each label, or scaled squared error.

    Args:
        task: What is predicted.
        label_smoothing: Share of the probability spread over all classes (Szegedy et al. 2016).
        class_weights: (classes,) or None; single-label tasks only.
        target_variance: Regression only: squared errors are divided by it, so that rates do not depend on
            the unit of the target.
    """

    def __init__(
        self,
        task: Task,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
        target_variance: float = 1.0,
    ) -> None:
        super().__init__()
        self.task = task
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.target_variance = max(target_variance, 1e-12)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(B, outputs) and (B,) class numbers, (B, classes) probabilities, or (B,) values → scalar."""
        if self.task.is_classification:
            return F.cross_entropy(
                logits, targets, weight=self.class_weights, label_smoothing=self.label_smoothing
            )
        if self.task.kind == "multilabel":
            smooth = targets * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
            return F.binary_cross_entropy_with_logits(logits, smooth)
        return F.mse_loss(logits.squeeze(1), targets) / self.target_variance
