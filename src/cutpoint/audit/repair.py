"""Splits in which every family of copies stands on one side, in memory and as a file that `fit` takes."""

from __future__ import annotations

import csv
import json
import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.alike import Alike
from cutpoint.audit.conflicts import conflicting_rows, label_of
from cutpoint.audit.pairs import Rows
from cutpoint.data.collected import few
from cutpoint.errors import DataError
from cutpoint.types import Dataset, TextPair

_LEAST_PER_CLASS = 2
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Repair:
    """What a new split file holds.

    Attributes:
        file: Where it was written.
        rows: Examples in each split.
        left_out: Names of the examples that are in no split any more, since a copy of them is judged on.
        conflicts: Of each content that carries several labels, the names with their labels.
        command: What to type next.
    """

    file: str
    rows: dict[str, int]
    left_out: tuple[str, ...]
    conflicts: tuple[str, ...]
    command: str


def keep_together(dataset: Dataset, families: Rows) -> tuple[Dataset, int]:
    """The dataset with a held-out test part free of copies, and how many rows were moved for it.

    Only where Cutpoint held the test part out itself: rows whose family also stands in another split go there.
    Given splits stay as they are.
    """
    if dataset.test_origin == "given" or "test" not in dataset.splits:
        return dataset, 0
    splits, test = dict(dataset.splits), dataset.splits["test"]
    for name in ("train", "val"):
        if name in splits:
            moved = test[np.isin(families[test], families[splits[name]])]
            test = np.setdiff1d(test, moved)
            splits[name] = np.union1d(splits[name], moved)
    moved_rows = len(dataset.splits["test"]) - len(test)
    if len(test) == 0:  # nothing but copies: the audit tells it as a leak
        return dataset, 0
    return (replace(dataset, splits={**splits, "test": test}), moved_rows) if moved_rows else (dataset, 0)


def one_side(dataset: Dataset, families: Rows) -> dict[str, Rows]:
    """Splits in which each family stands on one side: what is judged on stays, so that scores remain comparable, and
    copies of it leave the splits before it (test before validation before train).

    Raises:
        DataError: A class would be left without training examples.
    """
    splits: dict[str, Rows] = {}
    taken = np.zeros(0, dtype=np.int64)
    for name in reversed([split for split in _SPLITS if split in dataset.splits]):
        rows = dataset.splits[name]
        splits[name] = rows[~np.isin(families[rows], taken)]
        taken = np.union1d(taken, families[rows])
    if dataset.task.is_classification:
        counts = np.bincount(dataset.targets[splits["train"]], minlength=len(dataset.task.labels))
        poor = [dataset.task.labels[number] for number in np.flatnonzero(counts < _LEAST_PER_CLASS)]
        if poor:
            raise DataError(
                f"without copies of what is judged on, too few training examples are left of: {few(poor)}.",
                "Add training examples of these classes, or remove their copies from the test split by hand.",
            )
    return {name: splits[name] for name in dataset.splits}


def check_new_table(out: Path) -> None:
    """Raise a DataError where a table cannot be written there; worth asking before the data are read."""
    if out.exists():
        raise DataError(f"{out} exists already.", "Name a new file.")
    if out.suffix.lower() != ".csv":
        raise DataError(f"{out} does not end in .csv.", "The splits are written as a CSV table.")


def write_splits(dataset: Dataset, alike: Alike, out: Path) -> Repair:
    """Write a table (CSV) with a column `split`, which `fit` takes; the data themselves are not touched.

    Paths are relative to the table's folder. Copies inside a split stay.

    Args:
        dataset: Images or sounds in files, texts or pairs of texts with labels.
        alike: What hangs together in it.
        out: A file that does not exist.

    Raises:
        DataError: The file exists, or the data do not fit into such a table.
    """
    check_new_table(out)
    header, cells = _inputs(dataset, out)
    splits = one_side(dataset, alike.families)
    split_of = replace(dataset, splits=splits).split_names()
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header, "label", "split", *([] if dataset.groups is None else ["group"])])
        for row in np.flatnonzero(split_of != "").tolist():
            group = [] if dataset.groups is None else [dataset.groups[row]]
            writer.writerow([*cells[row], _label(dataset, row), split_of[row], *group])
    conflicts = conflicting_rows(alike.same, dataset.targets)
    return Repair(
        file=str(out),
        rows={name: len(rows) for name, rows in splits.items()},
        left_out=tuple(dataset.names[row] for row in np.flatnonzero(split_of == "")),
        conflicts=tuple(
            ", ".join(f"{dataset.names[row]} ({_label(dataset, row)})" for row in rows) for rows in conflicts
        ),
        command=_command(dataset, out),
    )


def _inputs(dataset: Dataset, out: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Names of the columns of inputs, and the cells of each row."""
    inputs = list(dataset.inputs)
    if all(isinstance(item, str) for item in inputs) and dataset.modality in ("image", "signal"):
        folder = out.absolute().parent
        return ("path",), [(os.path.relpath(Path(item).absolute(), folder),) for item in inputs]
    if dataset.task.kind not in ("language", "tagging") and dataset.modality == "text":
        if all(isinstance(item, TextPair) for item in inputs):
            return ("text_a", "text_b"), [tuple(item) for item in inputs]
        if all(isinstance(item, str) for item in inputs):
            return ("text",), [(item,) for item in inputs]
    raise DataError(
        f"splits are written for images and sounds in files, texts and pairs of texts with labels, not for "
        f"{dataset.modality} data in memory or for {dataset.task.kind}.",
        "Leave --fix out, and remove the copies by hand.",
    )


def _label(dataset: Dataset, row: int) -> str:
    target: NDArray[np.generic] = dataset.targets[row]
    if dataset.task.kind == "multilabel":
        chosen = zip(dataset.task.labels, target, strict=True)
        return json.dumps([label for label, value in chosen if value], ensure_ascii=False)
    return label_of(dataset.task, target) if dataset.task.is_classification else str(target)


def _command(dataset: Dataset, out: Path) -> str:
    """The columns are called as usual, but labels such as "1" and "2" would be taken for amounts."""
    group = "" if dataset.groups is None else " --group group"
    return f"cutpoint fit {shlex.quote(str(out))} --task {dataset.task.kind}{group}"
