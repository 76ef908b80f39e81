"""The stage without gradient steps: the convex head, or boosted trees, on frozen features."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from cutpoint.features.seeding import seeded
from cutpoint.heads.boosting import fit_trees
from cutpoint.heads.exact import ExactHead, fit_exact
from cutpoint.regimes.recipe import Recipe
from cutpoint.training.build import class_weights
from cutpoint.training.dead_units import hold_still
from cutpoint.training.judge import Judge
from cutpoint.training.source import Source
from cutpoint.training.state import FitData


def solve_head(recipe: Recipe, data: FitData, judge: Judge, source: Source, seed: int) -> float | None:
    """Put the optimal linear head, or the trees, for the network's features, as it stands, into the network.

    Returns:
        The inverse penalty that cross-validation chose; None for trees.
    """
    weights = class_weights(recipe, data)
    with seeded(seed):  # a head is drawn before it is solved
        features = hold_still(judge.features(source, data.train), recipe, data)
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


def _groups(data: FitData, judge: Judge) -> NDArray[Any] | None:
    """What inner cross-validation keeps together: the user's groups, else the words of a sentence."""
    owners = judge.owners(data.train)
    if data.groups is None:
        return owners
    groups = data.groups[data.train]
    return groups if owners is None else groups[owners]
