"""Boosted trees as a head: plain tensors, walked by all rows at once.

The fitted trees are judged, saved and loaded like every other head, and nothing executable is written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.heads.modules import Head

ITERATIONS = 100
"""Trees an output at most; inner cross-validation chooses how many are used."""
LEAVES = 16
"""Of one tree, at most: half of scikit-learn's default, which takes twice the time."""
_NODE_BYTES = 17
"""Value, column and threshold take four each, the two children two each, and the way of a missing value one."""

Array = NDArray[Any]


def parameters_of(outputs: int) -> int:
    """Values of leaves that a head holds."""
    return outputs * ITERATIONS * (2 * LEAVES - 1)


def bytes_of(outputs: int) -> int:
    """Bytes that the trees of a head are stored in: room for all nodes, whether they are used or not."""
    return _NODE_BYTES * parameters_of(outputs)


class TreesHead(Head):
    """(B, width) features in, (B, outputs) logits or values out: a baseline and one leaf's value of every tree.

    Room for the most trees is held from the start, so that fitted and unfitted heads have equal shapes; a tree that is
    not used is a single leaf of value zero.

    Args:
        width: Features per example.
        outputs: Columns that come out, each with trees of its own.
        iterations: Trees an output.
        leaves: Leaves a tree at most.

    Attributes:
        values: (trees, nodes) what a leaf adds; a parameter, since it is what is learned.
        feature: (trees, nodes) the column that a node looks at.
        threshold: (trees, nodes) up to which a row goes left.
        left: (trees, nodes) child; a leaf's children are itself.
        right: (trees, nodes) child.
        missing_left: (trees, nodes) whether a row without the value goes left.
        baseline: (outputs,) what is answered before the first tree.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    missing_left: Tensor
    baseline: Tensor

    def __init__(self, width: int, outputs: int, iterations: int = ITERATIONS, leaves: int = LEAVES) -> None:
        super().__init__(width, outputs, nn.Identity())
        self.iterations, self.leaves = iterations, leaves
        shape = (iterations * outputs, 2 * leaves - 1)
        itself = torch.arange(shape[1], dtype=torch.int16).expand(shape)
        self.values = nn.Parameter(torch.zeros(shape))
        self.register_buffer("feature", torch.zeros(shape, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(shape))
        self.register_buffer("left", itself.clone())
        self.register_buffer("right", itself.clone())
        self.register_buffer("missing_left", torch.zeros(shape, dtype=torch.bool))
        self.register_buffer("baseline", torch.zeros(outputs))

    def forward(self, features: Tensor) -> Tensor:
        total = self.steps(features).sum(dim=1) + self.baseline
        return total * self.output_scale + self.output_mean

    def steps(self, features: Tensor) -> Tensor:
        """(B, iterations, outputs) what each iteration adds, before the baseline and in units of the fit."""
        features = features.float()
        trees = torch.arange(len(self.values), device=features.device)
        column, left, right = self.feature.long(), self.left.long(), self.right.long()
        place = torch.zeros(len(features), len(trees), dtype=torch.int64, device=features.device)
        for _ in range(self.leaves):  # no path is longer
            seen = features.gather(1, column[trees, place])
            is_left = torch.where(
                seen.isnan(), self.missing_left[trees, place], seen <= self.threshold[trees, place]
            )
            reached = torch.where(is_left, left[trees, place], right[trees, place])
            if torch.equal(reached, place):
                break
            place = reached
        return self.values[trees, place].view(len(features), self.iterations, self.outputs)

    @torch.no_grad()
    def put(self, tree: int, nodes: Array, factor: float) -> None:
        """Take over one tree of scikit-learn, its values times a factor."""
        count, places = len(nodes), np.arange(len(nodes))
        is_leaf = nodes["is_leaf"].astype(bool)
        self.values[tree, :count] = torch.from_numpy(np.where(is_leaf, factor * nodes["value"], 0.0)).float()
        self.feature[tree, :count] = torch.from_numpy(np.where(is_leaf, 0, nodes["feature_idx"]))
        self.threshold[tree, :count] = torch.from_numpy(_rounded_down(nodes["num_threshold"]))
        self.left[tree, :count] = torch.from_numpy(np.where(is_leaf, places, nodes["left"]))
        self.right[tree, :count] = torch.from_numpy(np.where(is_leaf, places, nodes["right"]))
        self.missing_left[tree, :count] = torch.from_numpy(nodes["missing_go_to_left"].astype(bool))


def _rounded_down(thresholds: Array) -> NDArray[np.float32]:
    """The largest float32 up to each threshold: for float32 features it splits exactly as the float64 does."""
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
    result: NDArray[np.float32] = np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
    return result
