"""Heads scale what comes in and what goes out, and the scales travel with the weights."""

from __future__ import annotations

import pytest
import torch

from cutpoint.heads.modules import LinearHead, MLPHead, predict_scores
from cutpoint.types import Task


@pytest.mark.parametrize("head", [LinearHead(8, 3), MLPHead(8, 3, hidden=(16, 4), dropout=0.5)])
def test_shapes_and_a_step_of_learning(head):
    features = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    head.eval()
    values = head(features)
    assert values.shape == (32, 3)
    values.square().sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_inputs_are_standardised_and_constant_ones_are_safe():
    torch.manual_seed(0)
    features = torch.randn(50, 4) * torch.tensor([1e3, 1e-3, 1.0, 0.0]) + 5
    head = MLPHead(4, 2)
    plain = MLPHead(4, 2)
    plain.load_state_dict(head.state_dict())
    head.standardise_inputs(features.mean(dim=0), features.std(dim=0, correction=0))
    standard = (features - features.mean(dim=0)) / features.std(dim=0, correction=0).clamp_min(1e-9)
    standard[:, 3] = 0
    torch.testing.assert_close(head(features), plain(standard), atol=1e-3, rtol=1e-3)
    loaded = MLPHead(4, 2)
    loaded.load_state_dict(head.state_dict())
    assert torch.equal(loaded(features), head(features))


def test_values_come_out_in_the_units_of_the_targets():
    head = LinearHead(4, 1)
    head.scale_outputs(torch.tensor([100.0, 300.0]))
    torch.nn.init.zeros_(head.layers.weight)
    torch.nn.init.ones_(head.layers.bias)
    assert head(torch.zeros(1, 4)).item() == pytest.approx(300.0)


def test_scores_of_each_task():
    logits = torch.tensor([[0.0, 1.0], [2.0, -2.0]])
    softmax = predict_scores(Task(kind="binary", labels=("a", "b")), logits)
    torch.testing.assert_close(softmax.sum(dim=1), torch.ones(2))
    sigmoid = predict_scores(Task(kind="multilabel", labels=("a", "b")), logits)
    assert sigmoid[0].tolist() == pytest.approx([0.5, 0.7311], abs=1e-4)
    assert predict_scores(Task(kind="regression"), logits) is logits
