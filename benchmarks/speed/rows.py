"""Which rows train and which are judged: one list a work, written once and read by every contender."""

from __future__ import annotations

import csv
import os
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("CUTPOINT_SHARED", ROOT.parent / "shared"))
Row = tuple[str, str]
"""(path or text, label)."""


@dataclass(frozen=True)
class Selection:
    """How many rows of a set are taken.

    Attributes:
        train: Training rows; None: all.
        test: Judged rows; None: all.
        val: Rows that only Cutpoint looks at, to keep the best epoch; no contender trains on them.
        per_class: Training rows of each class, in place of `train`.
        classes: The first so many classes in order; None: all.
    """

    train: int | None = None
    test: int | None = None
    val: int = 0
    per_class: int | None = None
    classes: int | None = None


def write_list(file: Path, name: str, modality: str, selection: Selection) -> None:
    """Write a CSV with the columns input, label and split, unless it is there.

    Args:
        file: Of the list.
        name: Of the set.
        modality: "image" or "text".
        selection: How many rows.
    """
    if file.exists():
        return
    read = _pictures if modality == "image" else _texts
    chosen = select(read(name, "train"), read(name, "test"), selection)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(("input", "label", "split"))
        writer.writerows((*row, split) for split, rows in chosen.items() for row in rows)


def select(train: list[Row], test: list[Row], selection: Selection) -> dict[str, list[Row]]:
    """Rows of each split; every class has its share of them, and no input stands in two.

    Args:
        train: The set's training rows.
        test: Its test rows.
        selection: How many.
    """
    names = sorted({label for _, label in train})[: selection.classes]
    known = in_proportion(row for row in train if row[1] in names)
    if selection.per_class is not None:
        taken: dict[str, int] = defaultdict(int)
        trained = []
        for row in known:
            if taken[row[1]] < selection.per_class:
                taken[row[1]] += 1
                trained.append(row)
    else:
        trained = known[: selection.train]
    used = {source for source, _ in trained}
    held = [row for row in known if row[0] not in used][: selection.val]
    used |= {source for source, _ in held}
    judged = in_proportion(row for row in test if row[1] in names and row[0] not in used)
    return {"train": trained, "val": held, "test": judged[: selection.test]}


def in_proportion(rows: Iterable[Row]) -> list[Row]:
    """Shuffled: two of each class, without which nobody can train, then the classes in about their shares.

    Every beginning of the list is thus a fair sample of it. Doublets are dropped.
    """
    by_class: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(dict(rows).items()):
        by_class[row[1]].append(row)
    placed = []
    for label, own in sorted(by_class.items()):
        random.Random(label).shuffle(own)
        placed += [(rank // 2 and (rank + 0.5) / len(own), *row) for rank, row in enumerate(own)]
    return [(source, label) for _, source, label in sorted(placed)]


def _pictures(name: str, split: str) -> list[Row]:
    folder = SHARED / "data" / "vision" / name / split
    return [(str(path.resolve()), path.parent.name) for path in sorted(folder.glob("*/*")) if path.is_file()]


def _texts(name: str, split: str) -> list[Row]:
    file = SHARED / "data" / "text" / name / f"{split}.csv"
    with file.open(encoding="utf-8", newline="") as opened:
        return [(row["text"], row["label"]) for row in csv.DictReader(opened)]
