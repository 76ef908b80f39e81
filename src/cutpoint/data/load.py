"""`load_dataset`: from whatever the user has to a checked, split Dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.arrays import read_arrays
from cutpoint.data.collected import Collected, few
from cutpoint.data.folder import read_folder
from cutpoint.data.inspect import Progress, inspect, row_key
from cutpoint.data.splits import check_no_group_crosses, class_counts, hold_out_mask
from cutpoint.data.task import Labelled, known_targets, label_targets
from cutpoint.errors import DataError
from cutpoint.types import Dataset, Quarantined, Task

_MODES_HINT = "Give a folder of images, a .csv, .tsv, .parquet or .jsonl file, or inputs with targets=…."

# Fewer examples than this in the training part and a class cannot be both learned and validated.
_LEAST_PER_CLASS = 2
_LEAST_REGRESSION_ROWS = 4


def load_dataset(
    source: Any,
    *,
    targets: Any = None,
    input_column: str | None = None,
    target_column: str | None = None,
    task: str | None = None,
    metric: str | None = None,
    group: str | Sequence[Any] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    max_unreadable: float = 0.05,
    per_class: int | None = None,
    on_progress: Progress | None = None,
) -> Dataset:
    """Read labelled examples, set unreadable ones aside, infer the task and split.

    Args:
        source: A folder (CLASS/* or train|val|test/CLASS/*); a CSV, TSV, Parquet or JSON lines file with a
            path and a label column; or inputs in memory (paths, PIL images, uint8 arrays, a 2-D array of
            numbers).
        targets: The labels of inputs in memory.
        input_column: Column of paths of a table; inferred otherwise.
        target_column: Column of labels of a table; inferred otherwise.
        task: "binary", "multiclass", "multilabel" or "regression" instead of what the labels look like.
        metric: Name of the metric instead of the task's usual one.
        group: A column of the table; else a regular expression on the name of each example (its path relative
            to the source), whose first group, or else the whole match, is the group; or a sequence with the
            group of each input in memory. No group stands on two sides of a split.
        test_fraction: Share held out as the test split where none is given. 0 leaves the test split empty.
        seed: Of the held-out part and of `per_class`.
        max_unreadable: Largest share of inputs that may be set aside.
        per_class: Keep so many training examples a class, drawn with the seed; val and test stay whole, and
            the other training examples leave the dataset.
        on_progress: Called with (done, total) while inputs are read.

    Raises:
        DataError: Whatever is wrong with the data, with a hint at what to do.
    """
    _check_shares(test_fraction, max_unreadable)
    given = _collect(source, targets, input_column, target_column, group)
    # Before the images are read, which may take minutes, so that wrong labels are told at once.
    labelled = _label(given, task, metric)
    collected, keys, quarantined = _readable(given, max_unreadable, on_progress)
    lost = _lost(given, collected)
    if quarantined:
        labelled = _label(collected, task, metric)
    groups = None if collected.groups is None else np.array(collected.groups, dtype=str)
    split = _split(collected, labelled.task, labelled.targets, groups, test_fraction, seed)
    rows, notes = split.rows, [*collected.notes, *lost]
    if per_class is not None:
        rows, note = _few_per_class(labelled.task, labelled.targets, rows, per_class, seed)
        notes += note
    notes += _check_splits(labelled.task, labelled.targets, rows, split.origin)
    notes += _duplicates(keys, rows)
    dataset = Dataset(
        source=collected.source,
        modality=collected.modality,
        task=labelled.task,
        inputs=collected.inputs,
        targets=labelled.targets,
        splits=rows,
        keys=keys,
        names=tuple(collected.names),
        groups=groups,
        quarantined=quarantined,
        test_origin="given" if split.origin == "given" else "held out",
        notes=tuple(notes),
    )
    return _only_used_rows(dataset)


def load_known(
    source: Any,
    task: Task,
    *,
    targets: Any = None,
    input_column: str | None = None,
    target_column: str | None = None,
    group: str | Sequence[Any] | None = None,
) -> Dataset:
    """Read labelled examples for a task that is known already: to evaluate a model, not to learn.

    Nothing is held out and few examples are no mistake. Splits are those given; without any, all rows stand in
    "all".

    Args:
        source: As in `load_dataset`, as are the other arguments.
        task: Its labels keep their order.

    Raises:
        DataError: Labels that the task does not have, or what cannot be read.
    """
    given = _collect(source, targets, input_column, target_column, group)
    encoded = known_targets(given.labels, given.names, task)
    collected, keys, quarantined = _readable(given, 1.0, None)
    if quarantined:
        encoded = known_targets(collected.labels, collected.names, task)
    names = np.array(collected.splits if collected.splits is not None else ["all"] * len(keys))
    dataset = Dataset(
        source=collected.source,
        modality=collected.modality,
        task=task,
        inputs=collected.inputs,
        targets=encoded,
        splits={str(name): np.flatnonzero(names == name) for name in np.unique(names)},
        keys=keys,
        names=tuple(collected.names),
        groups=None if collected.groups is None else np.array(collected.groups, dtype=str),
        quarantined=quarantined,
    )
    return _with_matrix(dataset)


def _check_shares(test_fraction: float, max_unreadable: float) -> None:
    if not 0 <= test_fraction < 1:
        raise DataError(
            f"a share of {test_fraction:g} cannot be held out for the test.",
            "Use a number from 0 (none) to below 1, such as 0.2.",
        )
    if not 0 <= max_unreadable <= 1:
        raise DataError(
            f"the largest share of unreadable images cannot be {max_unreadable:g}.",
            "Use a number from 0 to 1, such as 0.05.",
        )


def _label(collected: Collected, task: str | None, metric: str | None) -> Labelled:
    return label_targets(
        collected.labels,
        collected.names,
        kind=task,
        metric=metric,
        labels_are_classes=collected.labels_are_classes,
    )


def _collect(
    source: Any,
    targets: Any,
    input_column: str | None,
    target_column: str | None,
    group: str | Sequence[Any] | None,
) -> Collected:
    if not isinstance(source, str | Path):
        return _with_groups(read_arrays(source, targets), group)
    if targets is not None:
        raise DataError(
            "targets go with inputs in memory, not with a folder or a table.",
            "Leave targets out: " + _MODES_HINT,
        )
    path = Path(source).expanduser()
    if path.is_dir():
        if input_column or target_column:
            raise DataError(f"{source} is a folder and has no columns.", "Leave the column names out.")
        return _with_groups(read_folder(path, str(source)), group)
    if not path.exists():
        raise DataError(f"{source} does not exist.", "Check the path. " + _MODES_HINT)
    return _collect_table(path, str(source), input_column, target_column, group)


def _collect_table(
    path: Path,
    source: str,
    input_column: str | None,
    target_column: str | None,
    group: str | Sequence[Any] | None,
) -> Collected:
    from cutpoint.data.table import TABLE_SUFFIXES, read_table

    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(f"{source} is neither a folder nor a table that can be read.", _MODES_HINT)
    collected = read_table(
        path,
        source,
        input_column=input_column,
        target_column=target_column,
        group=group if isinstance(group, str) else None,
    )
    return collected if collected.groups is not None else _with_groups(collected, group)


def _with_groups(collected: Collected, group: str | Sequence[Any] | None) -> Collected:
    if group is None:
        return collected
    groups = _groups_by_pattern(collected.names, group) if isinstance(group, str) else [str(g) for g in group]
    if len(groups) != len(collected.names):
        raise DataError(
            f"there are {len(collected.names):,} inputs but {len(groups):,} groups.",
            "Give one group an input.",
        )
    return replace(collected, groups=groups)


def _groups_by_pattern(names: Sequence[str], group: str) -> list[str]:
    hint = "Give a column of the table, or a regular expression on the path such as '(patient[0-9]+)'."
    try:
        pattern = re.compile(group)
    except re.error as problem:
        raise DataError(f"the group “{group}” is no regular expression: {problem}.", hint) from problem
    matches = [pattern.search(name) for name in names]
    missed = [name for name, match in zip(names, matches, strict=True) if match is None]
    if len(missed) == len(names):
        raise DataError(f"the group “{group}” is no column and matches no name, such as {names[0]}.", hint)
    if missed:
        raise DataError(f"the group “{group}” does not match some names: {few(missed)}.", hint)
    return [str(match[1] if pattern.groups else match[0]) for match in matches if match is not None]


def _readable(
    collected: Collected, max_unreadable: float, on_progress: Progress | None
) -> tuple[Collected, tuple[str, ...], tuple[Quarantined, ...]]:
    if collected.modality == "features":
        return collected, tuple(row_key(row) for row in collected.inputs), ()
    return inspect(collected, max_unreadable=max_unreadable, on_progress=on_progress)


def _lost(given: Collected, readable: Collected) -> list[str]:
    """Notes on classes that vanished with their unreadable files; an error where a whole split did."""
    if given is readable:
        return []
    splits = sorted(set(given.splits or ()) - set(readable.splits or ()))
    if splits:
        raise DataError(
            f"none of the {splits[0]} images can be read.",
            "Repair them, or leave that split out of the data.",
        )
    before, after = ({label for label in rows.labels if isinstance(label, str)} for rows in (given, readable))
    classes = sorted(before - after)
    return [f"labels that vanish because none of their images can be read: {few(classes)}"] if classes else []


@dataclass(frozen=True)
class _Split:
    rows: dict[str, NDArray[np.int64]]
    origin: str


def _split(
    collected: Collected,
    task: Task,
    targets: NDArray[Any],
    groups: NDArray[Any] | None,
    test_fraction: float,
    seed: int,
) -> _Split:
    """Rows of each split: as given, with a test part held out of train where there is none."""
    names = np.array(collected.splits if collected.splits is not None else ["train"] * len(targets))
    rows = {name: np.flatnonzero(names == name) for name in ("train", "val", "test") if np.any(names == name)}
    if "train" not in rows:
        raise DataError(
            f"{collected.source} has no training examples, only {few(list(rows))}.",
            "Call the part to learn from “train”.",
        )
    if groups is not None:
        check_no_group_crosses(groups, rows)
    if "test" in rows:
        return _Split(rows, "given")
    train = rows["train"]
    _check_enough(task, targets[train], "the data")
    held = np.zeros(len(train), dtype=bool)
    if test_fraction != 0:
        own = None if groups is None else groups[train]
        held = hold_out_mask(task, targets[train], own, fraction=test_fraction, seed=seed)
    return _Split({**rows, "train": train[~held], "test": train[held]}, "held out")


def _few_per_class(
    task: Task, targets: NDArray[Any], rows: dict[str, NDArray[np.int64]], per_class: int, seed: int
) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
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


def _check_enough(task: Task, targets: NDArray[Any], where: str) -> None:
    if task.kind == "regression":
        if len(targets) < _LEAST_REGRESSION_ROWS:
            raise DataError(
                f"{where} are too few: {len(targets)}.", f"Give at least {_LEAST_REGRESSION_ROWS}."
            )
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


def _check_splits(
    task: Task, targets: NDArray[Any], rows: dict[str, NDArray[np.int64]], origin: str
) -> list[str]:
    """Notes on classes that a split lacks; errors where nothing could be learned of them."""
    if task.kind != "regression":
        train = class_counts(task, targets[rows["train"]])
        for name in ("val", "test"):
            own = class_counts(task, targets[rows.get(name, rows["train"][:0])])
            unseen = [task.labels[number] for number in np.flatnonzero((train == 0) & (own > 0))]
            if unseen:
                raise DataError(
                    f"the {name} split holds classes that the training split lacks: {few(unseen)}.",
                    "Check the spelling of the class names; otherwise add training examples of them.",
                )
    _check_enough(task, targets[rows["train"]], "the training examples")
    notes = []
    if task.kind != "regression" and len(rows["test"]):
        own = class_counts(task, targets[rows["test"]])
        absent = [task.labels[number] for number in np.flatnonzero(own == 0)]
        if absent:
            notes.append(f"classes without test examples ({origin} split): {few(absent)}")
    return notes


def _duplicates(keys: Sequence[str], rows: dict[str, NDArray[np.int64]]) -> list[str]:
    train = {keys[row] for row in rows["train"]}
    shared = {name: sum(keys[row] in train for row in rows[name]) for name in rows if name != "train"}
    return [
        f"{name} examples with the same content as a training example: {count:,}"
        for name, count in shared.items()
        if count
    ]


def _only_used_rows(dataset: Dataset) -> Dataset:
    """The dataset without rows that stand in no split."""
    used = np.sort(np.concatenate(list(dataset.splits.values())))
    if len(used) == len(dataset):
        return _with_matrix(dataset)
    place = np.full(len(dataset), -1, dtype=np.int64)
    place[used] = np.arange(len(used))
    kept = replace(
        dataset,
        inputs=[dataset.inputs[row] for row in used],
        targets=dataset.targets[used],
        splits={name: place[rows] for name, rows in dataset.splits.items()},
        keys=tuple(dataset.keys[row] for row in used),
        names=tuple(dataset.names[row] for row in used),
        groups=None if dataset.groups is None else dataset.groups[used],
    )
    return _with_matrix(kept)


def _with_matrix(dataset: Dataset) -> Dataset:
    """Features as one 2-D array instead of a list of rows."""
    if dataset.modality != "features":
        return dataset
    return replace(dataset, inputs=np.stack([np.asarray(row) for row in dataset.inputs]))
