"""The contrastive loss against figures worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from cutpoint.errors import RegimeError
from cutpoint.objectives import ContrastiveLoss
from cutpoint.types import Task

LOSS = ContrastiveLoss(Task(kind="multiclass", labels=("a", "b", "c")))


def test_by_hand() -> None:
    """Cosines: same class 0; other class 1/√2 and 1/√2. Lengths do not matter."""
    features = torch.tensor([[2.0, 0.0], [0.0, 5.0], [3.0, 3.0]])
    assert float(LOSS(features, torch.tensor([0, 0, 1]))) == pytest.approx((1.0 + 0.5) / 2)
    assert float(LOSS(features, torch.tensor([0, 1, 0]))) == pytest.approx(
        ((1 - math.sqrt(0.5)) ** 2 + (0 + 0.5) / 2) / 2
    )


def test_both_kinds_of_pairs_count_the_same() -> None:
    """One pair of a class among 45 of two weighs as much as all those."""
    features = torch.randn(11, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    cosines = F.cosine_similarity(features[:, None], features[None], dim=2)
    pairs = [(i, j) for i in range(11) for j in range(i)]
    same = [float((cosines[i, j] - 1) ** 2) for i, j in pairs if targets[i] == targets[j]]
    other = [float(cosines[i, j] ** 2) for i, j in pairs if targets[i] != targets[j]]
    expected = (sum(same) / len(same) + sum(other) / len(other)) / 2
    assert float(LOSS(features, targets)) == pytest.approx(expected, abs=1e-6)


def test_one_kind_of_pair_or_none() -> None:
    features = torch.eye(3, requires_grad=True)
    assert float(LOSS(features, torch.tensor([1, 1, 1])).detach()) == pytest.approx(1.0)
    assert float(LOSS(features, torch.tensor([0, 1, 2])).detach()) == pytest.approx(0.0)
    alone = LOSS(features[:1], torch.tensor([0]))
    alone.backward()
    assert float(alone.detach()) == 0 and features.grad is not None and not features.grad.any()


def test_descent_gathers_the_classes() -> None:
    features = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets = torch.arange(12) % 3
    optimizer = torch.optim.Adam([features], 0.1)
    first = float(LOSS(features, targets).detach())
    for _ in range(200):
        optimizer.zero_grad()
        LOSS(features, targets).backward()
        optimizer.step()
    assert float(LOSS(features, targets).detach()) < 0.01 * first


@pytest.mark.parametrize("kind", ["multilabel", "regression", "tagging", "language"])
def test_tasks_without_one_class_an_example_are_refused(kind: str) -> None:
    with pytest.raises(RegimeError, match=f"{kind} task does not give each example one class"):
        ContrastiveLoss(Task(kind=kind, labels=("a", "b")))
