"""The same content under different labels: some of them must be wrong, or the content does not decide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.alike import Alike
from cutpoint.audit.exhibits import exhibit
from cutpoint.audit.pairs import Rows
from cutpoint.data.collected import few
from cutpoint.types import Dataset, Finding, Task

_SHOWN = 8


def conflicting_rows(same: Rows, targets: NDArray[np.generic]) -> list[Rows]:
    """Rows of each family that carries more than one label, in order of their first rows.

    Args:
        same: int64 (N,), family of each row.
        targets: (N,) class numbers, or (N, labels) of 0 and 1.
    """
    order = np.argsort(same, kind="stable")
    edges = np.flatnonzero(np.diff(same[order])) + 1
    members = [rows for rows in np.split(order, edges) if len(rows) > 1]
    found = [rows for rows in members if np.any(targets[rows] != targets[rows[0]])]
    return sorted(found, key=lambda rows: int(rows[0]))


def conflicts(dataset: Dataset, alike: Alike) -> list[Finding]:
    """A warning where families carry different labels, with the rows and labels of each."""
    found = conflicting_rows(alike.same, dataset.targets)
    if not found:
        return []
    clashes = [_clash(dataset, rows) for rows in found]
    described = [
        " ≠ ".join(f"{dataset.names[row]} ({label_of(dataset.task, dataset.targets[row])})" for row in rows)
        for rows in clashes
    ]
    shown = [row for rows in clashes for row in rows][:_SHOWN]
    return [
        Finding(
            code="conflicting-labels",
            severity="warning",
            text=f"{len(found):,} contents (the same {alike.how}) carry different labels, in "
            f"{sum(map(len, found)):,} examples: nothing can be right on all of them.",
            evidence=few(described, 3),
            remedy="Decide for one label each, or allow several (a multi-label task).",
            exhibits=tuple(
                exhibit(dataset, int(row), label_of(dataset.task, dataset.targets[row])) for row in shown
            ),
        )
    ]


def _clash(dataset: Dataset, rows: Rows) -> tuple[int, int]:
    """Two rows of a family whose labels differ."""
    differing = (np.atleast_2d(dataset.targets[rows].T) != np.atleast_2d(dataset.targets[rows[:1]].T)).any(
        axis=0
    )
    return int(rows[0]), int(rows[np.argmax(differing)])


def label_of(task: Task, target: NDArray[np.generic] | np.generic) -> str:
    """A row's label in words; of several, all."""
    if task.kind == "multilabel":
        chosen = [name for name, value in zip(task.labels, np.asarray(target), strict=True) if value]
        return ", ".join(chosen) or "none"
    return task.labels[int(np.asarray(target))]
