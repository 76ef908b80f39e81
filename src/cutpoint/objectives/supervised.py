"""The loss on labels, for every kind of task."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cutpoint.types import IGNORED, Task


def balanced_class_weights(targets: NDArray[np.int64], classes: int) -> Tensor:
    """Weights inversely proportional to class counts, with mean 1 over the examples (or words).

    Args:
        targets: Class or tag numbers of any shape; `IGNORED` counts for nothing.
        classes: Number of classes; an absent one gets weight 0.

    Returns:
        (classes,) float32.
    """
    counted = targets[targets != IGNORED]
    counts = np.bincount(counted, minlength=classes)
    present = counts > 0
    weights = np.where(present, len(counted) / (present.sum() * np.maximum(counts, 1)), 0.0)
    return torch.as_tensor(weights, dtype=torch.float32)


class SupervisedLoss(nn.Module):
    """Mean loss of a batch: cross-entropy, binary cross-entropy for each label, or scaled squared error.

    The mean is a sum, `total`, over what it is divided by, `weight`. Both add up over the parts of a batch, so
    that a batch too big for the memory is learned from in parts: the sum of `total(part) / weight(batch)` has
    exactly the gradient of the whole, also where parts hold unequal numbers of tokens.

    Args:
        task: What is predicted.
        label_smoothing: Share of the probability spread over all classes (Szegedy et al. 2016).
        class_weights: (classes,) or None; for one class an example, or tags.
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
        self._a_row_of_targets = task.kind in ("tagging", "language")

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean loss, a scalar; arguments as in `total`. NaN where nothing is to be predicted."""
        targets = self.trim(logits, targets)
        return self.total(logits, targets) / self.weight(targets)

    def trim(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Targets without the places behind the last that `logits` answers; only rows of targets have such."""
        return targets[:, : logits.shape[1]] if self._a_row_of_targets else targets

    def total(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Weighted sum of the losses, a scalar.

        Args:
            logits: (B, outputs); for tags and tokens (B, places, outputs).
            targets: (B,) class numbers, (B, classes) probabilities, (B, labels) probabilities, (B,) values; for
                tags and tokens (B, longest) numbers, longest ≥ places, `IGNORED` where there is nothing to predict.
        """
        # A sum over many tokens needs more digits than half precision has.
        logits = logits.float() if logits.dtype.itemsize < 4 else logits
        if self.task.kind == "regression":
            return F.mse_loss(logits.squeeze(1), targets, reduction="sum") / self.target_variance
        if self.task.kind == "multilabel":
            smooth = targets * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
            return F.binary_cross_entropy_with_logits(logits, smooth, reduction="sum")
        if self._a_row_of_targets:
            logits, targets = logits.flatten(0, 1), self.trim(logits, targets).flatten()
        return F.cross_entropy(
            logits,
            targets,
            weight=self.class_weights,
            ignore_index=IGNORED,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )

    def weight(self, targets: Tensor) -> Tensor:
        """What `total` is divided by, a float32 scalar: rows, labels of all rows, class weights, tags or tokens.

        It follows from the targets alone, so that it is known before the first part of a batch has run. Rows of
        targets must hold `IGNORED` (or be trimmed) behind what the network answers.
        """
        if self.task.kind == "multilabel" or self.task.kind == "regression":
            return _count(targets.numel(), targets)
        if (
            targets.is_floating_point()
        ):  # mixed examples: torch divides by their number, whatever their weights
            return _count(len(targets), targets)
        counted = targets != IGNORED
        if self.class_weights is None:
            return counted.sum().float()
        # A mask times a look-up, since rows picked by a mask have to be counted first, for which a GPU is waited for.
        return (self.class_weights[targets.clamp(min=0)] * counted).sum()


def _count(number: int, like: Tensor) -> Tensor:
    return torch.full((), float(number), device=like.device)
