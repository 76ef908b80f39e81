"""The stage without gradient steps: the convex head, or boosted trees, on frozen features."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.errors import DataError
from cutpoint.features.seeding import seeded
from cutpoint.heads.boosting import FittedTrees, fit_trees
from cutpoint.heads.chunks import Chosen, Features, as_array, chunks
from cutpoint.heads.exact import ExactHead, fit_exact
from cutpoint.regimes.recipe import Recipe
from cutpoint.training.build import class_weights
from cutpoint.training.dead_units import hold_still
from cutpoint.training.divergence import named
from cutpoint.training.judge import Judge
from cutpoint.training.source import Source
from cutpoint.training.state import FitData
from cutpoint.types import IGNORED


def solve_head(recipe: Recipe, data: FitData, judge: Judge, source: Source, seed: int) -> float | None:
    """Put the optimal linear head, or the trees, for the network's features, as it stands, into the network.

    Returns:
        The inverse penalty that cross-validation chose; None for trees.

    Raises:
        DataError: Features that are not finite, naming the rows.
    """
    weights = class_weights(recipe, data)
    with seeded(seed):  # a head is drawn before it is solved
        features = _features(data, judge, source)
        _check(features, data, judge)
        solved = _solved(recipe, hold_still(features, recipe, data))(
            judge.labels(data.train),
            data.task.for_heads,
            class_weights=None if weights is None else weights.numpy(),
            groups=_groups(data, judge),
            seed=seed,
        )
    judge.network.head.load_state_dict(solved.head.state_dict())
    return solved.strength if isinstance(solved, ExactHead) else None


def _solved(recipe: Recipe, features: Features) -> Callable[..., ExactHead | FittedTrees]:
    """What solves on these features; of many, predictions that nobody reads would take most of the time."""
    if recipe.regime.head == "trees":
        return partial(fit_trees, features[:])
    return partial(fit_exact, features, out_of_fold=False)


def _features(data: FitData, judge: Judge, source: Source) -> Features:
    """Of the rows, or words, that have a target; left on disk where they are."""
    pooled = source.pooled
    if pooled is None:
        return as_array(judge.features(source, data.train))
    if pooled.spans is None:
        return Chosen(pooled.final, data.train)
    has_target = data.targets[data.train] != IGNORED
    is_word = np.arange(has_target.shape[1]) < pooled.spans.counts[data.train][:, None]
    return Chosen(pooled.final, pooled.spans.places(data.train)[has_target[is_word]])


def _check(features: Features, data: FitData, judge: Judge) -> None:
    wrong = [
        part[~np.isfinite(chunk).all(axis=1)] for part, chunk in chunks(features, np.arange(len(features)))
    ]
    places = np.concatenate(wrong)
    if len(places) == 0:
        return
    owners = judge.owners(data.train)
    rows = np.unique(data.train[places if owners is None else owners[places]])
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
