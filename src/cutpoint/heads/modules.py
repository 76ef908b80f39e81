"""The two heads, as modules: (B, width) pooled features in, (B, outputs) logits or values out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutpoint.types import IGNORED, Task

ROWS_AT_ONCE = 4096
"""Of many rows, whose intermediate results need not all be held."""


class Head(nn.Module):
    """Scaling before and after a stack of layers; the scales travel with the weights as buffers.

    Attributes:
        input_mean: (width,) subtracted from the features. Zero until `standardise_inputs`.
        input_scale: (width,) the features are divided by it. One until `standardise_inputs`.
        output_mean: (outputs,) added to the values. Zero for classification.
        output_scale: (outputs,) the values are multiplied by it, so that a regression head works on targets
            of unit variance and still answers in the units of the targets. One for classification.
    """

    input_mean: Tensor
    input_scale: Tensor
    output_mean: Tensor
    output_scale: Tensor

    def __init__(self, width: int, outputs: int, layers: nn.Module) -> None:
        super().__init__()
        self.width = width
        self.outputs = outputs
        self.layers = layers
        self.register_buffer("input_mean", torch.zeros(width))
        self.register_buffer("input_scale", torch.ones(width))
        self.register_buffer("output_mean", torch.zeros(outputs))
        self.register_buffer("output_scale", torch.ones(outputs))

    def standardise_inputs(self, mean: Tensor, deviation: Tensor) -> None:
        """Take means and deviations (width,) of training features; constant features get scale 1."""
        self.input_mean.copy_(mean)
        self.input_scale.copy_(constant_as_one(mean, deviation))

    def scale_outputs(self, targets: Tensor) -> None:
        """Take mean and scale from training targets (N,) or (N, outputs), for regression."""
        mean, scale = standardisation(targets.double().reshape(len(targets), -1))
        self.output_mean.copy_(mean)
        self.output_scale.copy_(scale)

    def forward(self, features: Tensor) -> Tensor:
        values: Tensor = self.layers((features - self.input_mean) / self.input_scale)
        return values * self.output_scale + self.output_mean


class NoHead(Head):
    """For backbones that put out the answer themselves (the logits of the next token)."""

    def __init__(self) -> None:
        super().__init__(0, 0, nn.Identity())

    def forward(self, features: Tensor) -> Tensor:
        return features


class LinearHead(Head):
    """One linear layer, `layers`."""

    layers: nn.Linear

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__(width, outputs, nn.Linear(width, outputs))


class MLPHead(Head):
    """Fully connected layers with ReLU and dropout between them.

    Args:
        width: Features per example.
        outputs: Columns that come out.
        hidden: Width of each hidden layer.
        dropout: Share of hidden units dropped in training.
    """

    def __init__(self, width: int, outputs: int, hidden: Sequence[int] = (64,), dropout: float = 0.0) -> None:
        layers: list[nn.Module] = []
        current = width
        for size in hidden:
            layers += [nn.Linear(current, size), nn.ReLU(), nn.Dropout(dropout)]
            current = size
        layers.append(nn.Linear(current, outputs))
        super().__init__(width, outputs, nn.Sequential(*layers))


def standardisation(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column of float64 (N, D); a constant column gets scale 1."""
    mean = values.mean(dim=0)
    squares = torch.stack([(part - mean).square_().sum(dim=0) for part in torch.split(values, ROWS_AT_ONCE)])
    return mean, constant_as_one(mean, (squares.sum(dim=0) / len(values)).sqrt())


def constant_as_one(mean: Tensor, deviation: Tensor) -> Tensor:
    """Deviations (D,) to divide by, with 1 for constant columns.

    A column counts as constant where its deviation is within float32 rounding of its mean: dividing by such
    a deviation would turn rounding into a feature.
    """
    constant = deviation <= 1e-6 * mean.abs() + torch.finfo(torch.float32).tiny
    return torch.where(constant, torch.ones_like(deviation), deviation)


def predict_scores(task: Task, logits: Tensor) -> Tensor:
    """What the user sees: (N, outputs) class probabilities, label probabilities, or values; (N, words) tag numbers."""
    if task.is_classification:
        return logits.softmax(dim=-1)
    if task.kind == "tagging":
        return logits.argmax(dim=-1).to(logits.dtype)
    return logits.sigmoid() if task.kind == "multilabel" else logits


def scores_of(task: Task, logits: Tensor, targets: Tensor) -> Tensor:
    """What is compared with the targets.

    Returns:
        As `predict_scores`, but for tags (N, longest) with -1 where there is no target, and for language (N, 3): the
        negative log-likelihood of each row in nats, its tokens to be predicted, and how many of them are the likeliest.
    """
    if task.kind == "tagging":
        scores = logits.new_full(targets.shape, -1.0)
        scores[:, : logits.shape[1]] = predict_scores(task, logits)
        return scores.masked_fill(targets == IGNORED, -1.0)
    if task.kind == "language":
        return _likelihoods(logits, targets[:, : logits.shape[1]])
    return predict_scores(task, logits)


def _likelihoods(logits: Tensor, targets: Tensor) -> Tensor:
    loss = F.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view(targets.shape)
    inside = targets != IGNORED
    right = (logits.argmax(dim=-1) == targets) & inside
    return torch.stack([loss.sum(1), inside.sum(1).float(), right.sum(1).float()], dim=1)
