"""Losses against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from cutpoint.objectives import StartingPointPenalty, SupervisedLoss, balanced_class_weights
from cutpoint.types import Task

CLASSES = Task(kind="multiclass", labels=("a", "b", "c"))


def test_starting_point_penalty_and_its_gradient() -> None:
    weight, bias = nn.Parameter(torch.tensor([[1.0, 2.0]])), nn.Parameter(torch.tensor([3.0]))
    penalty = StartingPointPenalty([(weight, torch.tensor([[0.0, 4.0]])), (bias, torch.tensor([3.5]))], 0.2)
    value = penalty()
    assert float(value.detach()) == pytest.approx(0.5 * 0.2 * (1 + 4 + 0.25))
    value.backward()
    torch.testing.assert_close(weight.grad, torch.tensor([[0.2, -0.4]]))
    torch.testing.assert_close(bias.grad, torch.tensor([-0.1]))
    assert float(StartingPointPenalty([], 0.2)()) == 0.0


def test_smoothed_and_weighted_cross_entropy() -> None:
    logits, target = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    log_total = math.log(math.exp(2) + 1 + math.exp(-1))
    losses = [log_total - 2, log_total, log_total + 1]
    assert float(SupervisedLoss(CLASSES)(logits, target)) == pytest.approx(losses[0])
    smooth = float(SupervisedLoss(CLASSES, label_smoothing=0.3)(logits, target))
    assert smooth == pytest.approx(0.7 * losses[0] + 0.1 * sum(losses))
    two = torch.tensor([[2.0, 0.0, -1.0], [2.0, 0.0, -1.0]])
    weighted = SupervisedLoss(CLASSES, class_weights=torch.tensor([1.0, 3.0, 1.0]))(two, torch.tensor([0, 1]))
    assert float(weighted) == pytest.approx((losses[0] + 3 * losses[1]) / 4)


def test_balanced_class_weights_have_mean_one_over_the_examples() -> None:
    targets = np.array([0, 0, 0, 1], dtype=np.int64)
    weights = balanced_class_weights(targets, 3)
    assert weights.tolist() == pytest.approx([4 / 6, 2.0, 0.0])
    assert float(weights[torch.from_numpy(targets)].mean()) == pytest.approx(1.0)


def test_labels_and_values() -> None:
    labels = SupervisedLoss(Task(kind="multilabel", labels=("a", "b")), label_smoothing=0.2)
    value = float(labels(torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])))
    p = 1 / (1 + math.exp(-1))
    assert value == pytest.approx(0.5 * (math.log(2) - 0.1 * math.log(p) - 0.9 * math.log(1 - p)))
    values = SupervisedLoss(Task(kind="regression", metric="r2"), target_variance=4.0)
    assert float(values(torch.tensor([[1.0], [3.0]]), torch.tensor([2.0, 5.0]))) == pytest.approx(2.5 / 4)
