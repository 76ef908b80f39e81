"""Splits: seeded, stratified by class where examples have one, and never with a group, or copies of the same
content, on both sides."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
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
    groups = dataset.groups_of(rows)
    keys = [dataset.keys[int(row)] for row in rows]
    held = hold_out_mask(dataset.task, dataset.targets[rows], groups, keys, fraction=fraction, seed=seed)
    return rows[~held], rows[held]


def hold_out_mask(
    task: Task,
    targets: NDArray[Any],
    groups: NDArray[Any] | None,
    keys: Sequence[str],
    *,
    fraction: float,
    seed: int,
) -> NDArray[np.bool_]:
    """True for the rows that are held out; see `holdout`. Rows with the same key stay together."""
    if not 0 < fraction < 1:
        raise DataError(
            f"a share of {fraction:g} cannot be held out.", "Use a number between 0 and 1, such as 0.2."
        )
    random = np.random.default_rng(seed)
    if groups is not None:
        held = _hold_out_units(task, targets, _joined(groups, keys), fraction, random)
    else:
        distinct, place = _distinct(keys)
        held = _hold_out_rows(task, targets[distinct], fraction, random)[place]
    if not held.any() or held.all():
        different = len(set(keys))
        copies = f" ({different:,} without copies)" if different < len(keys) else ""
        what = counted(len(targets), "example") if groups is None else counted(len(set(groups)), "group")
        raise DataError(
            f"a share of {fraction:g} cannot be held out of {what}{copies} so that every class stays in both parts.",
            "Each class keeps two examples for training. Add examples or groups, or give a test split of your own.",
        )
    return held


def folds(dataset: Dataset, rows: Rows, *, count: int, repeats: int, seed: int) -> list[list[Fold]]:
    """Cross-validation: one list a repeat of (training rows, validation rows), row numbers of the dataset.

    Stratified by class, or grouped where the dataset has groups; other tasks are shuffled.
    In every repeat each row is validated exactly once, copies of the same content together. Fewer folds than
    `count` come back where there are fewer rows, fewer groups, or where even the largest class has fewer examples.
    A class with fewer examples than folds is absent from the validation part of some, but stays in the training
    part of all; with groups that cannot be promised of a class that stands in one group alone.

    Raises:
        DataError: A class with a single example (without groups), or fewer than two rows or groups.
    """
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    targets = dataset.targets[rows]
    keys = [dataset.keys[int(row)] for row in rows]
    groups = None if dataset.groups is None else _joined(dataset.groups[rows], keys)
    distinct, place = _distinct(keys) if groups is None else (np.arange(len(rows)), np.arange(len(rows)))
    count = _possible_folds(dataset.task, targets[distinct], groups, count)
    seeds = np.random.SeedSequence(seed).generate_state(repeats)
    dealt = [_one_repeat(dataset.task, targets[distinct], groups, count, int(state)) for state in seeds]
    return [[(rows[~held[place]], rows[held[place]]) for held in repeat] for repeat in dealt]


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


def _distinct(keys: Sequence[str]) -> tuple[Rows, Rows]:
    """The first row of each content, in order, and for each row the place of its content among them."""
    first: dict[str, int] = {}
    place = np.array([first.setdefault(key, len(first)) for key in keys], dtype=np.int64)
    return np.unique(place, return_index=True)[1].astype(np.int64), place


def _joined(groups: NDArray[Any], keys: Sequence[str]) -> NDArray[Any]:
    """Groups of the rows; those that hold copies of the same content become one."""
    distinct, place = _distinct(keys)
    if len(distinct) == len(keys):
        return groups
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, group_of = np.unique(groups, return_inverse=True)
    shape = (len(names), len(distinct))
    links = coo_array((np.ones(len(keys), dtype=np.int8), (group_of, place)), shape=shape).tocsr()
    joined = connected_components(links @ links.T, directed=False)[1]
    return np.asarray(joined[group_of])


def _hold_out_rows(
    task: Task, targets: NDArray[Any], fraction: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    if task.is_classification:
        return _hold_out_by_class(targets, fraction, random)
    if task.kind == "multilabel":
        return _hold_out_units(task, targets, np.arange(len(targets)), fraction, random)
    held = np.zeros(len(targets), dtype=bool)
    held[random.permutation(len(targets))[: round(fraction * len(targets))]] = True
    return held


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
                f"classes with a single example cannot be cross-validated (copies count once): {few(single)}.",
                "Add examples of these classes, or remove them.",
            )
        possible = min(possible, max(2, int(counts.max())))
    return max(2, min(count, possible))


def _one_repeat(
    task: Task, targets: NDArray[Any], groups: NDArray[Any] | None, count: int, seed: int
) -> list[NDArray[np.bool_]]:
    """Of each fold, which rows it holds out."""
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
        parts = list(splitter.split(np.zeros(len(targets)), targets, groups))
    # Few groups can leave a fold empty.
    everything = np.arange(len(targets))
    return [np.isin(everything, held) for train, held in parts if len(held) and len(train)]
