"""From raw labels to a task and its targets."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.collected import few
from cutpoint.data.natural_order import natural_key
from cutpoint.errors import DataError
from cutpoint.types import Task, TaskKind

DEFAULT_METRIC: dict[TaskKind, str] = {
    "binary": "accuracy",
    "multiclass": "accuracy",
    "multilabel": "f1_micro",
    "regression": "r2",
    "language": "perplexity",
}

# Whole numbers that are stored as reals are still classes while they are few (a column with a gap turns 0
# and 1 into 0.0 and 1.0).
_MOST_CLASSES_AMONG_WHOLE_REALS = 20

_SEPARATORS = re.compile(r"\s*[|;]\s*")
_COMMAS = re.compile(r"\s*,\s*")


@dataclass(frozen=True)
class Labelled:
    """A task and the targets of every row in it (see `Dataset.targets`)."""

    task: Task
    targets: NDArray[Any]


def label_targets(
    labels: Sequence[Any],
    names: Sequence[str],
    *,
    kind: str | None = None,
    metric: str | None = None,
    labels_are_classes: bool = False,
) -> Labelled:
    """Infer the task of raw labels, unless `kind` states it, and encode them.

    Lists of labels are multilabel (lists of one length that hold only 0 and 1 have one column a label), as
    are texts that hold JSON lists, and texts separated by | or ; where a
    part of one also stands in another (so that a class called "salt|pepper" stays a class). Numbers with
    decimal places are regression; whole numbers, texts and truth values are classes, though whole numbers
    stored as reals are regression when there are more than 20 different ones. Classes are sorted in natural
    order.

    Raises:
        DataError: Blank or non-finite labels, labels that do not fit the task, fewer than two classes.
    """
    if kind is not None and kind not in get_args(TaskKind):
        raise DataError(f"there is no task “{kind}”.", f"Use one of {', '.join(get_args(TaskKind))}.")
    if kind in ("tagging", "language"):
        raise DataError(
            f"the task {kind} cannot be learned from these data.",
            "Tagging needs rows of words with a tag each; language needs texts, chats or completions.",
        )
    cells = [_plain(label) for label in labels]
    _check_labels(cells, names)
    if kind is None:
        kind = "multiclass" if labels_are_classes else _infer(cells)
        if kind == "multiclass" and len({_text(cell) for cell in cells}) == 2:
            kind = "binary"
    if kind == "regression":
        labelled = _regression(cells, names)
    elif kind == "multilabel":
        labelled = _multilabel(cells)
    else:
        labelled = _classes(cells, kind)
    if metric is not None:
        return Labelled(labelled.task.model_copy(update={"metric": metric}), labelled.targets)
    return labelled


def known_targets(labels: Sequence[Any], names: Sequence[str], task: Task) -> NDArray[Any]:
    """Encode labels in the order of a task that is known already, however few of its classes they hold.

    Raises:
        DataError: Blank labels, or labels that the task does not have.
    """
    cells = [_plain(label) for label in labels]
    _check_labels(cells, names)
    if task.kind == "regression":
        return _numbers(cells, names)
    separator = _separator(cells)
    sets = [_label_set(cell, separator) if task.kind == "multilabel" else {_text(cell)} for cell in cells]
    unknown = sorted(set().union(*sets) - set(task.labels))
    if unknown:
        raise DataError(
            f"the data have labels that the model does not know: {few(unknown)}.",
            f"The model knows {few(list(task.labels))}.",
        )
    if task.is_classification:
        number = {label: index for index, label in enumerate(task.labels)}
        return np.array([number[next(iter(names))] for names in sets], dtype=np.int64)
    return _indicators(sets, task.labels)


def _check_labels(labels: Sequence[Any], names: Sequence[str]) -> None:
    blank = [names[row] for row, label in enumerate(labels) if _is_blank(label)]
    if blank:
        raise DataError(
            f"examples without a label, {len(blank):,} of {len(labels):,}: {few(blank)}.",
            "Label them or remove them; in a multi-label column write [] where no label holds.",
        )


def _plain(label: Any) -> Any:
    """The label as a plain Python object, text without blanks around it."""
    if isinstance(label, np.ndarray):
        return _plain_row(label)
    if isinstance(label, np.generic):
        return label.item()
    if isinstance(label, str):
        return label.strip()
    if isinstance(label, list | tuple | set | frozenset):
        return [_plain(item) for item in label]
    return label


def _plain_row(label: NDArray[Any]) -> Any:
    if label.ndim == 0:
        return label.item()
    return [_plain(item) for item in label.tolist()]


def _is_blank(label: Any) -> bool:
    if isinstance(label, str):
        return not label or label.lower() == "nan"
    return label is None or (isinstance(label, float) and not np.isfinite(label))


def _infer(cells: Sequence[Any]) -> TaskKind:
    if any(isinstance(cell, list) for cell in cells):
        return "multilabel"
    if all(isinstance(cell, str) for cell in cells):
        if all(_json_list(cell) is not None for cell in cells) or _separated(cells):
            return "multilabel"
        if not any("." in cell or "e" in cell.lower() for cell in cells):
            return "multiclass"
    if any(isinstance(cell, bool) for cell in cells):
        return "multiclass"
    numbers = [_number(cell) for cell in cells]
    if any(number is None for number in numbers) or all(isinstance(cell, int) for cell in cells):
        return "multiclass"
    if any(number != int(number) for number in numbers if number is not None):
        return "regression"
    return "regression" if len(set(numbers)) > _MOST_CLASSES_AMONG_WHOLE_REALS else "multiclass"


def _number(cell: Any) -> float | None:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _json_list(cell: str) -> list[Any] | None:
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    try:
        parsed = json.loads(cell)
    except ValueError:
        # Python writes its lists with single quotes, and a user may write none: [a, b].
        parsed = [item.strip().strip("'\"") for item in cell[1:-1].split(",")]
    return [_plain(item) for item in parsed if item != ""]


def _separator(cells: Sequence[Any]) -> re.Pattern[str]:
    """What stands between the labels of a cell: | or ; where there is any, else a comma."""
    return (
        _SEPARATORS if any(_SEPARATORS.search(cell) for cell in cells if isinstance(cell, str)) else _COMMAS
    )


def _separated(cells: Sequence[str]) -> bool:
    """Whether the cells hold several labels: some part of a separated cell stands in another cell too. Names of
    classes may well hold a comma, so that there every part must."""
    separator = _separator(cells)
    cells_with: dict[str, int] = {}
    different = set(cells)
    for cell in different:
        for part in set(separator.split(cell)):
            cells_with[part] = cells_with.get(part, 0) + 1
    parts = [part for cell in different if separator.search(cell) for part in separator.split(cell)]
    enough = all if separator is _COMMAS else any
    return bool(parts) and enough(cells_with[part] > 1 for part in parts)


def _text(cell: Any) -> str:
    """The name of a class: whole reals are written without decimal places."""
    if isinstance(cell, float) and cell == int(cell):
        return str(int(cell))
    return str(cell)


def _in_order(labels: set[str]) -> tuple[str, ...]:
    if all(_number(label) is not None for label in labels):
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    return tuple(sorted(labels, key=natural_key))


def _classes(cells: Sequence[Any], kind: str) -> Labelled:
    if any(isinstance(cell, list) for cell in cells):
        raise DataError(
            f"the labels are lists, which is not {kind}.", "Use the task multilabel, or one label an example."
        )
    texts = [_text(cell) for cell in cells]
    labels = _in_order(set(texts))
    if len(labels) < 2:
        raise DataError(
            f"all {len(texts):,} examples have the label “{labels[0]}”; there is nothing to tell apart.",
            "Add examples of another class. Where the classes are one folder deeper, give that folder.",
        )
    if len(labels) == len(texts):
        raise DataError(
            f"every one of the {len(texts):,} examples has a label of its own.",
            "Choose the label column by --target-column, or the task regression if these are measurements.",
        )
    if kind == "binary" and len(labels) != 2:
        raise DataError(
            f"the task is binary, but there are {len(labels)} classes: {few(labels)}.",
            "Use the task multiclass.",
        )
    number = {label: index for index, label in enumerate(labels)}
    task = Task(kind="binary" if kind == "binary" else "multiclass", labels=labels)
    return Labelled(task, np.array([number[text] for text in texts], dtype=np.int64))


def _multilabel(cells: Sequence[Any]) -> Labelled:
    if not any(isinstance(cell, str) for cell in cells) and _is_indicator(cells):
        matrix = np.array(cells, dtype=np.float32)
        labels = tuple(str(column) for column in range(matrix.shape[1]))
    else:
        _check_lists(cells)
        separator = _separator(cells)
        sets = [_label_set(cell, separator) for cell in cells]
        labels = _in_order(set().union(*sets))
        matrix = _indicators(sets, labels)
    if len(labels) < 2:
        raise DataError(
            f"a multi-label task needs at least two labels; there are {len(labels)}: {few(labels)}.",
            "Add examples with other labels, or use the task binary with one label an example.",
        )
    return Labelled(Task(kind="multilabel", labels=labels, metric=DEFAULT_METRIC["multilabel"]), matrix)


def _indicators(sets: Sequence[set[str]], labels: Sequence[str]) -> NDArray[np.float32]:
    """(N, labels) of 0 and 1: which labels each set holds."""
    number = {label: index for index, label in enumerate(labels)}
    matrix = np.zeros((len(sets), len(labels)), dtype=np.float32)
    for row, names in enumerate(sets):
        matrix[row, [number[name] for name in names]] = 1.0
    return matrix


def _check_lists(cells: Sequence[Any]) -> None:
    for cell in cells:
        for item in cell if isinstance(cell, list) else ():
            if _is_blank(item) or isinstance(item, list | dict) or (isinstance(item, float) and item % 1):
                raise DataError(
                    f"a list of labels holds {item!r}, which is no label.",
                    "List names or whole numbers; several measured targets at once are not supported.",
                )


def _is_indicator(cells: Sequence[Any]) -> bool:
    """Whether the cells are rows of 0 and 1 of one length, one column a label."""
    widths = {len(cell) if isinstance(cell, list) else 0 for cell in cells}
    return len(widths) == 1 and min(widths) > 1 and all(value in (0, 1) for cell in cells for value in cell)


def _label_set(cell: Any, separator: re.Pattern[str]) -> set[str]:
    if isinstance(cell, list):
        return {_text(item) for item in cell}
    if isinstance(cell, str):
        parsed = _json_list(cell)
        return {_text(item) for item in (separator.split(cell) if parsed is None else parsed) if item != ""}
    return {_text(cell)}


def _numbers(cells: Sequence[Any], names: Sequence[str]) -> NDArray[np.float32]:
    numbers = [_number(cell) for cell in cells]
    wrong = [f"{names[row]} ({cells[row]})" for row, number in enumerate(numbers) if number is None]
    if wrong:
        raise DataError(
            f"the task is regression, but these labels are no finite numbers: {few(wrong)}.",
            "Correct them, or use the task multiclass.",
        )
    return np.array(numbers, dtype=np.float32)


def _regression(cells: Sequence[Any], names: Sequence[str]) -> Labelled:
    targets = _numbers(cells, names)
    if np.all(targets == targets[0]):
        raise DataError(
            f"every target is {targets[0]:g}; there is nothing to predict.", "Choose another target column."
        )
    return Labelled(Task(kind="regression", metric=DEFAULT_METRIC["regression"]), targets)
