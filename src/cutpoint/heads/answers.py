"""Targets as the solvers see them, and the way back from what they say to a head and to predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cutpoint.heads.modules import LinearHead, standardisation
from cutpoint.types import Task

_ALL = slice(None)


class Answers:
    """Targets of N rows for one task.

    Args:
        targets: As in `Dataset.targets`.
        task: What is predicted.
        class_weights: (classes,) weight of each class's loss; for multi-label (labels,) weight of positives.
    """

    def __init__(self, targets: NDArray[Any], task: Task, class_weights: ArrayLike | None) -> None:
        self.task = task
        self.targets = np.asarray(targets)
        self.class_weights = None
        if class_weights is not None:
            self.class_weights = torch.as_tensor(np.asarray(class_weights, dtype=np.float64))
        self.mean, self.scale = torch.zeros(1), torch.ones(1)
        if task.kind == "regression":
            self.mean, self.scale = standardisation(self._as_given(_ALL))

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def outputs(self) -> int:
        """K: classes, labels or values; 1 for two classes."""
        return self.task.outputs if self.task.kind == "multiclass" else int(self._as_given(slice(1)).shape[1])

    def __call__(self, rows: Any) -> tuple[Tensor, Tensor]:
        """Columns and weights of some rows."""
        columns = self.columns(rows)
        return columns, self.weights(columns)

    def columns(self, rows: Any = _ALL) -> Tensor:
        """(n, K) float64: one-hot classes, 0 and 1, or values of unit variance."""
        if self.task.kind == "multiclass":
            given = torch.from_numpy(np.array(self.targets[rows]))
            return torch.nn.functional.one_hot(given.long(), self.task.outputs).double()
        return (self._as_given(rows) - self.mean) / self.scale

    def weights(self, columns: Tensor) -> Tensor:
        """(n, 1), or (n, labels) where the labels are weighted one by one; of `columns`."""
        if self.class_weights is None:
            return columns.new_ones(len(columns), 1)
        if self.task.kind == "multiclass":
            return (columns @ self.class_weights)[:, None]
        if self.task.kind == "binary":
            return torch.where(columns == 1, self.class_weights[1], self.class_weights[0])
        return torch.where(columns == 1, self.class_weights, torch.ones_like(self.class_weights))

    def head(self, weight: Tensor, bias: Tensor) -> LinearHead:
        """Weight (D, K) and bias (K,) on raw features as a head."""
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
        head.output_mean.copy_(self.mean.expand_as(head.output_mean))
        head.output_scale.copy_(self.scale.expand_as(head.output_scale))
        return head

    def predictions(self, values: Tensor) -> NDArray[np.float32]:
        """Logits or scaled values (n, K) → predictions (n, outputs)."""
        if self.task.kind == "regression":
            answers = values * self.scale + self.mean
        elif self.task.kind == "multiclass":
            answers = values.softmax(dim=1)
        else:
            answers = values.sigmoid()
            if self.task.kind == "binary":
                answers = torch.cat([1 - answers, answers], dim=1)
        result: NDArray[np.float32] = answers.numpy().astype(np.float32)
        return result

    def _as_given(self, rows: Any) -> Tensor:
        given = torch.from_numpy(np.array(self.targets[rows])).double()
        return given.reshape(len(given), -1)
