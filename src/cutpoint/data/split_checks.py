"""Whether the splits of a data set are fit to learn from and to judge by; and fewer training examples on purpose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.collected import few
from cutpoint.data.splits import class_counts
from cutpoint.errors import DataError
from cutpoint.types import Task, TaskKind

# Fewer examples than this in the training part and a class cannot be both learned and validated.
_LEAST_PER_CLASS = 2
# The same of all training examples, where they have no classes.
_LEAST_ROWS = 4
_WITHOUT_CLASSES: tuple[TaskKind, ...] = ("regression", "tagging", "language")


def few_per_class(
    task: Task, targets: NDArray[Any], rows: dict[str, NDArray[np.int64]], per_class: int, seed: int
) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """The splits with so many training examples of each class, drawn with the seed, and notes on it.

    Raises:
        DataError: The task is not one class an example, or so few cannot be learned from.
    """
    if not task.is_classification:
        raise DataError(
            f"per_class needs one class an example; the task is {task.kind}.", "Leave per_class out."
        )
    if per_class < _LEAST_PER_CLASS:
        raise DataError(
            f"per_class={per_class} leaves too little to learn from and to validate on.",
            f"Use {_LEAST_PER_CLASS} or more.",
        )
    random = np.random.default_rng(seed)
    train = rows["train"]
    members = [train[targets[train] == number] for number in range(len(task.labels))]
    drawn = [np.sort(random.permutation(own)[:per_class]) for own in members]
    smaller = [task.labels[number] for number, own in enumerate(members) if len(own) < per_class]
    notes = [f"{per_class} training examples a class were drawn from {len(train):,}"]
    if smaller:
        notes.append(f"classes with fewer than {per_class} training examples keep all: {few(smaller)}")
    return {**rows, "train": np.sort(np.concatenate(drawn))}, notes


def check_enough(task: Task, targets: NDArray[Any], where: str) -> None:
    """Raise a DataError where there are too few examples, of some class or at all; `where` begins the sentence."""
    if task.kind in _WITHOUT_CLASSES:
        if len(targets) < _LEAST_ROWS:
            raise DataError(f"{where} are too few: {len(targets)}.", f"Give at least {_LEAST_ROWS}.")
        return
    least = _LEAST_PER_CLASS if task.is_classification else 1
    counts = class_counts(task, targets)
    poor = [f"{task.labels[number]} ({counts[number]})" for number in np.flatnonzero(counts < least)]
    if poor:
        raise DataError(
            f"{where} hold too few examples (fewer than {least}) of some classes: {few(poor)}.",
            "Add examples of these classes, or remove the classes"
            + (", or use --task regression if these are amounts." if _are_numbers(task.labels) else "."),
        )


def _are_numbers(labels: Sequence[str]) -> bool:
    return all(re.fullmatch(r"[-+]?\d+(\.\d+)?", label) for label in labels)


def check_splits(
    task: Task, targets: NDArray[Any], rows: dict[str, NDArray[np.int64]], origin: str
) -> list[str]:
    """Notes on classes that a split lacks; errors where nothing could be learned of them."""
    notes = []
    noun = "tags" if task.kind == "tagging" else "classes"
    for name, unseen in _unseen(task, targets, rows).items():
        sentence = f"the {name} split holds {noun} that the training split lacks: {few(unseen)}"
        # One rare tag among thousands of words costs little; a class that is never learned is a broken split.
        if task.kind != "tagging":
            raise DataError(
                f"{sentence}.",
                "Check the spelling of the class names; otherwise add training examples of them.",
            )
        notes.append(sentence)
    check_enough(task, targets[rows["train"]], "the training examples")
    if task.labels and len(rows["test"]):
        own = class_counts(task, targets[rows["test"]])
        absent = [task.labels[number] for number in np.flatnonzero(own == 0)]
        if absent:
            notes.append(f"{noun} without test examples ({origin} split): {few(absent)}")
    return notes


def _unseen(task: Task, targets: NDArray[Any], rows: dict[str, NDArray[np.int64]]) -> dict[str, list[str]]:
    """Labels of the val and the test split that no training example has."""
    if not task.labels:
        return {}
    train = class_counts(task, targets[rows["train"]])
    unseen = {}
    for name in ("val", "test"):
        own = class_counts(task, targets[rows.get(name, rows["train"][:0])])
        unseen[name] = [task.labels[number] for number in np.flatnonzero((train == 0) & (own > 0))]
    return {name: labels for name, labels in unseen.items() if labels}
