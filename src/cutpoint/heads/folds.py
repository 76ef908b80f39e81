"""Which fold holds each row out, for the inner cross-validation of a head."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.types import Task


def assign_folds(
    targets: NDArray[Any], task: Task, folds: int, groups: NDArray[Any] | None, seed: int
) -> NDArray[np.int64] | None:
    """Fold number of each row (N,), or None where the examples allow no cross-validation.

    Classes are spread evenly over the folds, so that a class of two examples or more stands in the training
    part of every fold; a class of one example would be predicted by fits that never saw it: then there is no
    cross-validation. With groups, whole groups are dealt to the fold that holds the fewest rows. There are
    never more folds than rows or groups.
    """
    random = np.random.default_rng(seed)
    if groups is not None:
        return _grouped_folds(groups, folds, random)
    classes = targets if task.is_classification else np.zeros(len(targets), dtype=np.int64)
    smallest = int(np.unique(classes, return_counts=True)[1].min())
    folds = min(folds, len(classes))
    if folds < 2 or smallest < 2:
        return None
    shuffled = random.permutation(len(classes))
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    result = np.empty(len(classes), dtype=np.int64)
    # Dealing on through all classes keeps the folds within one row of each other in size as well.
    result[by_class] = np.arange(len(classes)) % folds
    return result


def _grouped_folds(groups: NDArray[Any], folds: int, random: np.random.Generator) -> NDArray[np.int64] | None:
    _, membership, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    folds = min(folds, len(sizes))
    if folds < 2:
        return None
    shuffled = random.permutation(len(sizes))
    largest_first = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    held = np.zeros(folds, dtype=np.int64)
    fold_of_group = np.empty(len(sizes), dtype=np.int64)
    for group in largest_first:
        fold_of_group[group] = held.argmin()
        held[held.argmin()] += sizes[group]
    return fold_of_group[membership]
