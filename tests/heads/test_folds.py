"""Folds are even in size and class, and never part a group."""

from __future__ import annotations

import numpy as np

from cutpoint.heads.folds import assign_folds
from cutpoint.types import Task

CLASSES = Task(kind="multiclass", labels=("a", "b", "c"))


def test_classes_and_sizes_are_even():
    targets = np.repeat([0, 1, 2], [50, 13, 2])
    folds = assign_folds(targets, CLASSES, 5, None, 0)
    assert sorted(np.bincount(folds)) == [13, 13, 13, 13, 13]
    for label in range(3):
        counts = np.bincount(folds[targets == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(folds, assign_folds(targets, CLASSES, 5, None, 1))


def test_groups_stay_together_and_folds_stay_even():
    groups = np.array(["a"] * 40 + ["b"] * 30 + ["c"] * 20 + ["d"] * 20 + ["e"] * 10)
    folds = assign_folds(np.zeros(120, int), CLASSES, 3, groups, 0)
    assert all(len(set(folds[groups == name])) == 1 for name in "abcde")
    assert sorted(np.bincount(folds)) == [40, 40, 40]


def test_what_cannot_be_folded():
    assert assign_folds(np.array([0, 0, 1]), CLASSES, 5, None, 0) is None
    assert assign_folds(np.array([0, 0, 1, 1]), CLASSES, 5, np.zeros(4), 0) is None
    assert assign_folds(np.array([0.5]), Task(kind="regression"), 5, None, 0) is None
    assert assign_folds(np.array([0, 0, 1, 1]), CLASSES, 5, None, 0).max() == 3
