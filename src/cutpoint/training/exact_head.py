"""The stage without gradient steps: the convex head, or boosted trees, on frozen features."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cutpoint.errors import DataError
from cutpoint.features.seeding import seeded
from cutpoint.heads.boosting import fit_trees
from cutpoint.heads.exact import ExactHead, fit_exact
from cutpoint.regimes.recipe import Recipe
from cutpoint.training.build import class_weights
from cutpoint.training.dead_units import hold_still
from cutpoint.training.divergence import named
from cutpoint.training.judge import Judge
from cutpoint.training.source import Source
from cutpoint.training.state import FitData


def solve_head(recipe: Recipe, data: FitData, judge: Judge, source: Source, seed: int) -> float | None:
    """Put the optimal linear head, or the trees, for the network's features, as it stands, into the network.

    Returns:
        The inverse penalty that cross-validation chose; None for trees.

    Raises:
        DataError: Features that are not finite, naming the rows.
    """
    weights = class_weights(recipe, data)
    with seeded(seed):  # a head is drawn before it is solved
        features = hold_still(judge.features(source, data.train), recipe, data)
        _check(features, data, judge)
        solve = fit_trees if recipe.regime.head == "trees" else fit_exact
        solved = solve(
            features,
            judge.labels(data.train),
            data.task.for_heads,
            class_weights=None if weights is None else weights.numpy(),
            groups=_groups(data, judge),
            seed=seed,
        )
    judge.network.head.load_state_dict(solved.head.state_dict())
    return solved.strength if isinstance(solved, ExactHead) else None


def _check(features: Tensor, data: FitData, judge: Judge) -> None:
    wrong = (~torch.isfinite(features).all(1)).cpu().numpy().nonzero()[0]
    if len(wrong) == 0:
        return
    owners = judge.owners(data.train)
    rows = np.unique(data.train[wrong if owners is None else owners[wrong]])
    raise DataError(
        f"The features of {named(data.bank, rows.tolist())} are not finite.",
        "Look for inputs that are damaged, for weights that are no numbers, or a backbone that overflows in half "
        "precision.",
    )


def _groups(data: FitData, judge: Judge) -> NDArray[Any] | None:
    """What inner cross-validation keeps together: the user's groups, else the words of a sentence."""
    owners = judge.owners(data.train)
    if data.groups is None:
        return owners
    groups = data.groups[data.train]
    return groups if owners is None else groups[owners]
