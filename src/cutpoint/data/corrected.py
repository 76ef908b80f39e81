"""The review list of doubtful labels: written for the user to fill in, read back, and applied to the data."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.collected import counted, few
from cutpoint.data.encoding import read_utf8
from cutpoint.data.split_checks import check_enough
from cutpoint.errors import DataError
from cutpoint.types import Dataset, LabelIssue

COLUMNS = ("name", "given", "suggested", "p_given", "p_suggested", "corrected")
_NEEDED = ("name", "corrected")


@dataclass(frozen=True)
class Correction:
    """One line of a filled-in list.

    Attributes:
        name: The example's, as in `Dataset.names`.
        given: The label that the list was written with; "" where the list has no such column.
        corrected: The label to use.
        line: Number of the line in the file.
    """

    name: str
    given: str
    corrected: str
    line: int


def write_review(issues: Sequence[LabelIssue], path: Path) -> None:
    """Write the candidates as CSV, least likely label first; the user fills in the empty column “corrected”.

    Raises:
        DataError: The file is there already: it may hold the user's answers.
    """
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for issue in issues:
                likely = f"{issue.p_given:.4f}", f"{issue.p_suggested:.4f}"
                writer.writerow([issue.name, issue.given, issue.suggested, *likely, ""])
    except FileExistsError as problem:
        raise DataError(
            f"{path} is there already; it may hold your answers.", "Name another file, or move this one away."
        ) from problem
    except OSError as problem:
        raise DataError(
            f"{path} cannot be written: {problem}.", "Name a file in a folder that exists."
        ) from problem


def read_corrections(path: Path) -> tuple[Correction, ...]:
    """The filled-in lines of a review list; a blank “corrected” keeps the label as it is.

    Raises:
        DataError: The file cannot be read, lacks a column, or corrects one example in two ways.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_utf8(path)), strict=True)
        lines = [(reader.line_num, line) for line in reader]
    except csv.Error as problem:
        raise DataError(
            f"{path} cannot be read: {problem}.", "Give a list that `cutpoint audit --review` wrote."
        ) from problem
    missing = [column for column in _NEEDED if column not in (reader.fieldnames or ())]
    if missing:
        raise DataError(
            f"{path} has no column {few(missing)}.",
            f"A list of corrections has the columns {', '.join(_NEEDED)}.",
        )
    found: dict[str, Correction] = {}
    for number, line in lines:
        cells = {column: (line.get(column) or "").strip() for column in ("name", "given", "corrected")}
        if not cells["corrected"]:
            continue
        correction = Correction(**cells, line=number)
        earlier = found.setdefault(correction.name, correction)
        if earlier.corrected != correction.corrected:
            raise DataError(
                f"{path}, line {number}: {correction.name} is corrected to “{correction.corrected}”, and in line "
                f"{earlier.line} to “{earlier.corrected}”.",
                "Keep one of the two lines.",
            )
    return tuple(found.values())


def apply_corrections(dataset: Dataset, path: Path) -> Dataset:
    """The data with the labels of a review list, the given ones kept as `Dataset.given_targets`.

    Training, validation and test labels are corrected alike; how many of each is noted, since a score on a test split
    that was corrected cannot be compared with one from before.

    Args:
        dataset: A classification task.
        path: The list.

    Raises:
        DataError: Not a classification; a name or a label that the data do not have (with file and line); a list of
            other labels than those of the data; or a class that the corrections leave without examples.
    """
    if not dataset.task.is_classification:
        raise DataError(
            f"labels of a {dataset.task.kind} task cannot be corrected by a list.",
            "Lists of corrections are for one label an example; correct the data themselves.",
        )
    rows = {name: row for row, name in enumerate(dataset.names)}
    numbers = {label: number for number, label in enumerate(dataset.task.labels)}
    targets = dataset.targets.copy()
    for correction in read_corrections(path):
        if correction.name not in rows:
            raise DataError(
                f"{path}, line {correction.line}: the data have no example called {correction.name}.",
                "Names are those of the audit; write the list anew if the data changed.",
            )
        if correction.corrected not in numbers:
            raise DataError(
                f"{path}, line {correction.line}: the data have no class “{correction.corrected}”.",
                f"The classes are {few(list(dataset.task.labels), 20)}.",
            )
        row = rows[correction.name]
        own = dataset.task.labels[int(targets[row])]
        if correction.given not in ("", own) and own != correction.corrected:
            raise DataError(
                f"{path}, line {correction.line}: {correction.name} was given “{correction.given}” when the list was "
                f"written, and is “{own}” in the data.",
                "The list belongs to other data; write it anew.",
            )
        targets[row] = numbers[correction.corrected]
    return _with(dataset, targets, path)


def _with(dataset: Dataset, targets: NDArray[np.int64], path: Path) -> Dataset:
    check_enough(
        dataset.task, targets[dataset.splits["train"]], f"the training examples, corrected by {path},"
    )
    changed = np.flatnonzero(targets != dataset.targets)
    if not len(changed):
        return replace(dataset, notes=(*dataset.notes, f"labels corrected by {path.name}: none"))
    counts = {split: int(np.isin(changed, rows).sum()) for split, rows in dataset.splits.items()}
    where = ", ".join(f"{counted(count, 'example')} of {split}" for split, count in counts.items() if count)
    note = f"labels corrected by {path.name}: {where}"
    if counts.get("test"):
        note += "; a score on a corrected test split cannot be compared with one from before"
    return replace(dataset, targets=targets, given_targets=dataset.targets, notes=(*dataset.notes, note))
