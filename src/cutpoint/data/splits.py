"""Splits: seeded, stratified by class where examples have one, and never with a group on both sides."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.collected import counted, few
from cutpoint.errors import DataError
from cutpoint.types import IGNORED, Dataset, Task

Rows = NDArray[np.int64]
Fold = tuple[Rows, Rows]


def holdout(dataset: Dataset, rows: Rows, *, fraction: float, seed: int) -> Fold:
    """Hold out a share of the rows: (rows kept, rows held out), both sorted.

    Classes keep their shares, and each keeps two examples on the kept side as long as it has them. With
    groups, whole groups are held out, so the share is met as nearly as their sizes allow.

    Raises:
        DataError: The fraction is not within 0…1, or nothing could be held out.
    """
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    groups = None if dataset.groups is None else dataset.groups[rows]
    held = hold_out_mask(dataset.task, dataset.targets[rows], groups, fraction=fraction, seed=seed)
    return rows[~held], rows[held]


def hold_out_mask(
    task: Task, targets: NDArray[Any], groups: NDArray[Any] | None, *, fraction: float, seed: int
) -> NDArray[np.bool_]:
    """True for the rows that are held out; see `holdout`."""
    if not 0 < fraction < 1:
        raise DataError(
            f"a share of {fraction:g} cannot be held out.", "Use a number between 0 and 1, such as 0.2."
        )
    random = np.random.default_rng(seed)
    if groups is None and task.is_classification:
        held = _hold_out_by_class(targets, fraction, random)
    elif groups is None and task.kind != "multilabel":
        held = np.zeros(len(targets), dtype=bool)
        held[random.permutation(len(targets))[: round(fraction * len(targets))]] = True
    else:
        units = np.arange(len(targets)) if groups is None else groups
        held = _hold_out_units(task, targets, units, fraction, random)
    if not held.any() or held.all():
        what = counted(len(targets), "example") if groups is None else counted(len(set(groups)), "group")
        raise DataError(
            f"a share of {fraction:g} cannot be held out of {what} so that every class stays in both parts.",
            "Each class keeps two examples for training. Add examples or groups, or give a test split of your own.",
        )
    return held


def folds(dataset: Dataset, rows: Rows, *, count: int, repeats: int, seed: int) -> list[list[Fold]]:
    """Cross-validation: one list a repeat of (training rows, validation rows), row numbers of the dataset.

    Stratified by class, or grouped where the dataset has groups; other tasks are shuffled.
    In every repeat each row is validated exactly once. Fewer folds than `count` come back where there are
    fewer rows, fewer groups, or where even the largest class has fewer examples. A class with fewer examples
    than folds is absent from the validation part of some, but stays in the training part of all; with groups
    that cannot be promised of a class that stands in one group alone.

    Raises:
        DataError: A class with a single example (without groups), or fewer than two rows or groups.
    """
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    targets = dataset.targets[rows]
    groups = None if dataset.groups is None else dataset.groups[rows]
    count = _possible_folds(dataset.task, targets, groups, count)
    seeds = np.random.SeedSequence(seed).generate_state(repeats)
    return [_one_repeat(dataset.task, rows, targets, groups, count, int(state)) for state in seeds]


def check_no_group_crosses(groups: NDArray[Any], splits: dict[str, Rows]) -> None:
    """Raise a DataError that names the groups which stand in more than one split."""
    splits_of: dict[str, set[str]] = {}
    for split, rows in splits.items():
        for group in np.unique(groups[rows]):
            splits_of.setdefault(str(group), set()).add(split)
    crossing = sorted(group for group, found in splits_of.items() if len(found) > 1)
    if crossing:
        raise DataError(
            f"there are groups that stand in more than one of the given splits: {few(crossing)}.",
            "Move each group to one side, or give data without splits: a test part is held out by group.",
        )


def class_counts(task: Task, targets: NDArray[Any]) -> NDArray[np.int64]:
    """Examples of each class, or of each label for multi-label; words of each tag."""
    if task.kind == "multilabel":
        return np.asarray(targets.sum(axis=0), dtype=np.int64).reshape(len(task.labels))
    if task.kind == "tagging":
        targets = targets[targets != IGNORED]
    return np.bincount(targets, minlength=len(task.labels)).astype(np.int64)


def _hold_out_by_class(
    targets: NDArray[Any], fraction: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    held = np.zeros(len(targets), dtype=bool)
    classes, sizes = np.unique(targets, return_counts=True)
    for label, amount in zip(classes, _shares(sizes, fraction), strict=True):
        members = np.flatnonzero(targets == label)
        held[random.permutation(members)[:amount]] = True
    return held


def _shares(sizes: NDArray[Any], fraction: float) -> NDArray[np.int64]:
    """Examples to hold out of each class: whole numbers, by largest remainder; two of each class stay."""
    exact = sizes * fraction
    shares = np.floor(exact).astype(np.int64)
    short = max(0, round(float(exact.sum())) - int(shares.sum()))
    shares[np.argsort(shares - exact, kind="stable")[:short]] += 1
    # A class that is held out nowhere could not be judged at all.
    shares = np.maximum(shares, 1)
    return np.asarray(np.minimum(shares, np.maximum(sizes - 2, 0)), dtype=np.int64)


def _hold_out_units(
    task: Task, targets: NDArray[Any], units: NDArray[Any], fraction: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Hold out whole units (groups), drawn at random while they bring every class nearer to its share."""
    unit_names, unit_of = np.unique(units, return_inverse=True)
    unit_of = unit_of.astype(np.int64)
    counts = np.zeros((len(unit_names), 1 + len(task.labels)))
    counts[:, 0] = np.bincount(unit_of)
    if task.kind == "multilabel":
        np.add.at(counts[:, 1:], unit_of, targets)
    elif task.is_classification:
        np.add.at(counts, (unit_of, 1 + targets), 1)
    totals = counts.sum(axis=0)
    # Every class weighs the same, whatever its size.
    scale = 1.0 / np.maximum(totals, 1)
    least_kept = np.minimum(totals, 2)
    taken, chosen = np.zeros_like(totals), np.zeros(len(unit_names), dtype=bool)
    # Not largest first: the test part would always be the largest groups, whatever the seed.
    for unit in random.permutation(len(unit_names)):
        after = taken + counts[unit]
        nearer = np.sum((after * scale - fraction) ** 2) < np.sum((taken * scale - fraction) ** 2)
        if nearer and np.all(totals - after >= least_kept):
            taken, chosen[unit] = after, True
    return np.asarray(chosen[unit_of], dtype=bool)


def _possible_folds(task: Task, targets: NDArray[Any], groups: NDArray[Any] | None, count: int) -> int:
    if groups is not None:
        possible, what = len(np.unique(groups)), "groups"
    else:
        possible, what = len(targets), "examples"
    if possible < 2:
        raise DataError(
            f"cross-validation needs at least two {what}; there are {possible}.",
            f"Add {what}, or give a validation split.",
        )
    if task.is_classification:
        counts = class_counts(task, targets)
        single = [task.labels[index] for index in np.flatnonzero(counts == 1)]
        if single and groups is None:
            raise DataError(
                f"classes with a single example cannot be cross-validated: {few(single)}.",
                "Add examples of these classes, or remove them.",
            )
        possible = min(possible, max(2, int(counts.max())))
    return max(2, min(count, possible))


def _one_repeat(
    task: Task, rows: Rows, targets: NDArray[Any], groups: NDArray[Any] | None, count: int, seed: int
) -> list[Fold]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    chooser: Any
    if task.is_classification:
        chooser = StratifiedKFold if groups is None else StratifiedGroupKFold
    else:
        chooser = KFold if groups is None else GroupKFold
    splitter = chooser(n_splits=count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class smaller than the number of folds is allowed here, as the docstring of `folds` says.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = list(splitter.split(np.zeros(len(rows)), targets, groups))
    # Few groups can leave a fold empty.
    return [(rows[train], rows[held]) for train, held in parts if len(held) and len(train)]
