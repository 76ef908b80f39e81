"""Losses against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutpoint.objectives import StartingPointPenalty, SupervisedLoss, balanced_class_weights
from cutpoint.types import IGNORED, Task

CLASSES = Task(kind="multiclass", labels=("a", "b", "c"))
TAGS = Task(kind="tagging", labels=("O", "B-x", "I-x"))
TOKENS = Task(kind="language", metric="perplexity")
UNEVEN = torch.tensor([0.5, 3.0, 1.25])


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


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _numbers(*shape: int) -> Tensor:
    return torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(1))


def _sentences() -> Tensor:
    """Seven rows of unequal length; in one of them nothing is to be predicted."""
    targets = _numbers(7, 9)
    for row, length in enumerate((9, 1, 4, 0, 2, 8, 3)):
        targets[row, length:] = IGNORED
    return targets


BATCHES = {
    "classes": (SupervisedLoss(CLASSES), _random(7, 3), _numbers(7)),
    "weighted classes": (SupervisedLoss(CLASSES, 0.2, UNEVEN.double()), _random(7, 3), _numbers(7)),
    "mixed": (SupervisedLoss(CLASSES, 0.2, UNEVEN.double()), _random(7, 3), _random(7, 3, seed=2).softmax(1)),
    "labels": (
        SupervisedLoss(Task(kind="multilabel", labels=("a", "b", "c")), 0.2),
        _random(7, 3),
        (_random(7, 3, seed=2) > 0).double(),
    ),
    "values": (
        SupervisedLoss(Task(kind="regression", metric="r2"), target_variance=3.0),
        _random(7, 1),
        _random(7, seed=2),
    ),
    "tags": (SupervisedLoss(TAGS), _random(7, 9, 3), _sentences()),
    "weighted tags": (SupervisedLoss(TAGS, 0.1, UNEVEN.double()), _random(7, 9, 3), _sentences()),
    "tokens": (SupervisedLoss(TOKENS, 0.1), _random(7, 9, 3), _sentences()),
}


@pytest.mark.parametrize("name", BATCHES)
def test_parts_add_up_to_the_big_batch(name: str) -> None:
    loss, values, targets = BATCHES[name]
    whole = values.clone().requires_grad_()
    value = loss(whole, targets)
    value.backward()
    parts, divisor, total = values.clone().requires_grad_(), loss.weight(targets), 0.0
    for rows in (slice(0, 1), slice(1, 5), slice(5, 7)):
        part = loss.total(parts[rows], targets[rows]) / divisor
        part.backward()
        total += float(part.detach())
    assert float(sum(loss.weight(targets[rows]) for rows in (slice(0, 3), slice(3, 7)))) == pytest.approx(
        float(divisor)
    )
    assert total == pytest.approx(float(value.detach()), abs=1e-6)
    torch.testing.assert_close(parts.grad, whole.grad, rtol=0, atol=1e-6)
    means = torch.stack(
        [loss(values[rows], targets[rows]) for rows in (slice(0, 1), slice(1, 3), slice(4, 7))]
    )
    assert torch.isfinite(means).all()


@pytest.mark.parametrize("weights", [None, UNEVEN])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_mean_is_that_of_torch(weights: Tensor | None, smoothing: float) -> None:
    logits, mixed = _random(40, 3).float(), _random(40, 3, seed=3).float().softmax(1)
    options = {"weight": weights, "label_smoothing": smoothing}
    for targets in (_numbers(40), mixed):
        ours = SupervisedLoss(CLASSES, smoothing, weights)(logits, targets)
        torch.testing.assert_close(ours, F.cross_entropy(logits, targets, **options), rtol=1.2e-7, atol=0)
    sentences, places = _sentences(), _random(7, 9, 3).float()
    expected = F.cross_entropy(places.reshape(-1, 3), sentences.reshape(-1), **options)
    torch.testing.assert_close(
        SupervisedLoss(TAGS, smoothing, weights)(places, sentences), expected, rtol=1.2e-7, atol=0
    )


def test_targets_behind_the_last_place_do_not_count() -> None:
    loss, values, targets = BATCHES["weighted tags"]
    torch.testing.assert_close(loss(values[:, :5], targets), loss(values[:, :5], targets[:, :5]))
    assert loss.total(values[:, :5], targets) == loss.total(values[:, :5], targets[:, :5])
    assert loss.weight(targets) > loss.weight(loss.trim(values[:, :5], targets))


def test_nothing_to_predict_adds_nothing() -> None:
    loss, values, targets = BATCHES["tokens"]
    assert float(loss.total(values[3:4], targets[3:4])) == 0
    assert float(loss.weight(targets[3:4])) == 0
    assert math.isnan(float(loss(values[3:4], targets[3:4])))


def test_a_sum_in_half_precision_keeps_its_digits() -> None:
    logits, targets = torch.zeros(400, 200, 4, dtype=torch.float16), torch.zeros(400, 200, dtype=torch.int64)
    loss = SupervisedLoss(TOKENS)
    assert float(loss(logits, targets)) == pytest.approx(math.log(4), abs=1e-4)


def test_balanced_tag_weights_leave_out_what_is_ignored() -> None:
    targets = np.array([[0, 0, 1], [0, IGNORED, IGNORED]], dtype=np.int64)
    assert balanced_class_weights(targets, 2).tolist() == pytest.approx([4 / 6, 2.0])
