"""`load_dataset`: from whatever the user has to a checked, split Dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.collect import collect
from cutpoint.data.collected import Collected, few
from cutpoint.data.inspect import inspect
from cutpoint.data.inspect_signals import inspect_signals
from cutpoint.data.inspect_texts import inspect_texts
from cutpoint.data.keys import row_key
from cutpoint.data.numbers import encoded
from cutpoint.data.progress import Progress
from cutpoint.data.split_checks import check_enough, check_splits, few_per_class
from cutpoint.data.splits import check_no_group_crosses, hold_out_mask
from cutpoint.data.tagging import encoded_tags, tag_targets
from cutpoint.data.task import DEFAULT_METRIC, Labelled, known_targets, label_targets
from cutpoint.errors import DataError
from cutpoint.types import Dataset, Modality, Quarantined, TableColumn, Task

OnTask = Callable[[Modality, Task], None]


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
    on_task: OnTask | None = None,
    on_progress: Progress | None = None,
) -> Dataset:
    """Read examples, set unreadable ones aside, infer the task and split.

    Args:
        source: A folder of images, .wav sounds or .txt files (CLASS/* or train|val|test/CLASS/*); a CSV, TSV, Parquet
            or JSON lines file with columns of paths or texts and of labels, of tokens and tags, of messages (chats), of
            prompts and completions, or of numbers (a raw table); a plain .txt file; a folder of such files called
            train, val and test; or inputs in memory (paths, PIL images, uint8 arrays, a 2-D array of numbers, time
            series as an array (N, channels, values) or a list of arrays, texts, pairs of texts, lists of words, chats).
        targets: The labels of inputs in memory.
        input_column: Column of paths or texts of a table, or several with commas between them: two for pairs of
            texts, those of a raw table; inferred otherwise.
        target_column: Column of labels of a table; inferred otherwise.
        task: "binary", "multiclass", "multilabel", "regression", "tagging" or "language" instead of what the data
            look like.
        metric: Name of the metric instead of the task's usual one.
        group: A column of the table; else a regular expression on the name of each example (its path relative
            to the source), whose first group, or else the whole match, is the group; or a sequence with the
            group of each input in memory. No group stands on two sides of a split.
        test_fraction: Share held out as the test split where none is given. 0 leaves the test split empty.
        seed: Of the held-out part and of `per_class`.
        max_unreadable: Largest share of inputs that may be set aside.
        per_class: Keep so many training examples a class, drawn with the seed; val and test stay whole, and
            the other training examples leave the dataset.
        on_task: Called with what the data are and the task as soon as both are known, before any image is read.
        on_progress: Called with (done, total) while inputs are read.

    Raises:
        DataError: Whatever is wrong with the data, with a hint at what to do.
    """
    _check_shares(test_fraction, max_unreadable)
    given = collect(
        source,
        targets,
        input_column=input_column,
        target_column=target_column,
        group=group,
        task=task,
    )
    # Before the images are read, which may take minutes, so that wrong labels are told at once.
    labelled = _label(given, task, metric)
    if on_task is not None:
        on_task(given.modality, labelled.task)
    collected, keys, quarantined = _readable(given, max_unreadable, on_progress)
    lost = _lost(given, collected)
    if quarantined:
        labelled = _label(collected, task, metric)
    groups = None if collected.groups is None else np.array(collected.groups, dtype=str)
    split = _split(collected, labelled.task, labelled.targets, groups, keys, test_fraction, seed)
    rows, notes = split.rows, [*collected.notes, *lost]
    if per_class is not None:
        rows, note = few_per_class(labelled.task, labelled.targets, rows, per_class, seed)
        notes += note
    notes += check_splits(labelled.task, labelled.targets, rows, split.origin)
    collected, keys, columns = _as_numbers(collected, keys, rows["train"])
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
        columns=columns,
        signals=collected.signals,
        fingerprints=collected.fingerprints,
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
    columns: Sequence[TableColumn] = (),
) -> Dataset:
    """Read labelled examples for a task that is known already: to evaluate a model, not to learn.

    Nothing is held out and few examples are no mistake. Splits are those given; without any, all rows stand in
    "all".

    Args:
        source: As in `load_dataset`, as are the other arguments.
        task: Its labels keep their order.
        columns: Of the raw table that the model was trained on, where it was.

    Raises:
        DataError: Labels that the task does not have, or what cannot be read.
    """
    given = collect(
        source,
        targets,
        input_column=input_column,
        target_column=target_column,
        group=group,
        task=task.kind,
        columns=columns,
    )
    encoded = _encode(given, task)
    collected, keys, quarantined = _readable(given, 1.0, None)
    if quarantined:
        encoded = _encode(collected, task)
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
        signals=collected.signals,
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
    if collected.kind == "tagging":
        return tag_targets(collected.labels, metric)
    if collected.kind == "language":
        known = Task(kind="language", metric=metric or DEFAULT_METRIC["language"])
        return Labelled(known, _encode(collected, known))
    return label_targets(
        collected.labels,
        collected.names,
        kind=task,
        metric=metric,
        labels_are_classes=collected.labels_are_classes,
    )


def _encode(collected: Collected, task: Task) -> NDArray[Any]:
    """Targets of a task that is known already."""
    if collected.kind not in (None, task.kind):
        raise DataError(
            f"the task is {task.kind}, but {collected.source} holds data for {collected.kind}.",
            "Give data such as those that the model was trained on.",
        )
    if collected.kind == "language":
        return np.zeros(len(collected.names), dtype=np.int64)
    if collected.kind == "tagging":
        return encoded_tags(collected.labels, task)
    return known_targets(collected.labels, collected.names, task)


def _readable(
    collected: Collected, max_unreadable: float, on_progress: Progress | None
) -> tuple[Collected, tuple[str, ...], tuple[Quarantined, ...]]:
    if collected.modality == "features":
        return collected, tuple(row_key(row) for row in collected.inputs), ()
    if collected.modality == "text":
        return inspect_texts(collected, max_unreadable=max_unreadable)
    if collected.modality == "signal":
        return inspect_signals(collected, max_unreadable=max_unreadable, on_progress=on_progress)
    return inspect(collected, max_unreadable=max_unreadable, on_progress=on_progress)


def _lost(given: Collected, readable: Collected) -> list[str]:
    """Notes on classes that vanished with their unreadable inputs; an error where a whole split did."""
    if len(given.names) == len(readable.names):
        return []
    noun = {"image": "images", "signal": "signals"}.get(given.modality, "texts")
    splits = sorted(set(given.splits or ()) - set(readable.splits or ()))
    if splits:
        raise DataError(
            f"none of the {splits[0]} {noun} can be read.",
            "Repair them, or leave that split out of the data.",
        )
    before, after = ({label for label in rows.labels if isinstance(label, str)} for rows in (given, readable))
    classes = sorted(before - after)
    return [f"labels that vanish because none of their {noun} can be read: {few(classes)}"] if classes else []


def _as_numbers(
    collected: Collected, keys: tuple[str, ...], train: NDArray[np.int64]
) -> tuple[Collected, tuple[str, ...], tuple[TableColumn, ...]]:
    """The rows of a raw table as its training rows say; other data as they are."""
    if not collected.columns:
        return collected, keys, ()
    rows, columns = encoded(collected.inputs, collected.columns, train)
    return replace(collected, inputs=list(rows)), tuple(row_key(row) for row in rows), columns


@dataclass(frozen=True)
class _Split:
    rows: dict[str, NDArray[np.int64]]
    origin: str


def _split(
    collected: Collected,
    task: Task,
    targets: NDArray[Any],
    groups: NDArray[Any] | None,
    keys: Sequence[str],
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
    check_enough(task, targets[train], "the data")
    held = np.zeros(len(train), dtype=bool)
    if test_fraction != 0:
        own = None if groups is None else groups[train]
        contents = [keys[int(row)] for row in train]
        held = hold_out_mask(task, targets[train], own, contents, fraction=test_fraction, seed=seed)
    return _Split({**rows, "train": train[~held], "test": train[held]}, "held out")


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
        groups=dataset.groups_of(used),
        fingerprints=None if dataset.fingerprints is None else dataset.fingerprints.taken(used),
    )
    return _with_matrix(kept)


def _with_matrix(dataset: Dataset) -> Dataset:
    """Features as one 2-D array instead of a list of rows."""
    if dataset.modality != "features":
        return dataset
    return replace(dataset, inputs=np.stack([np.asarray(row) for row in dataset.inputs]))
