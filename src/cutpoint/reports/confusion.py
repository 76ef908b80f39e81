"""The confusion matrix as rows for a table, and the pairs that are confused most."""

from __future__ import annotations

from dataclasses import dataclass

from cutpoint.types import ConfusionMatrix

MOST_CLASSES = 20
_MOST_PAIRS = 20


@dataclass(frozen=True)
class Cell:
    """Examples of one true class that were given one predicted class."""

    count: int
    share: float
    """Of the true class, 0…1."""
    correct: bool


@dataclass(frozen=True)
class Row:
    """One true class."""

    label: str
    cells: tuple[Cell, ...]
    recall: float
    """Share of its examples that were predicted right."""
    total: int


@dataclass(frozen=True)
class Pair:
    """A true class and what it was mistaken for."""

    truth: str
    predicted: str
    count: int
    share: float


def rows_of(matrix: ConfusionMatrix) -> list[Row]:
    """One row a true class, in the order of the labels."""
    return [_row(label, number, counts) for number, (label, counts) in enumerate(_labelled(matrix))]


def confused_pairs(matrix: ConfusionMatrix) -> list[Pair]:
    """The pairs with most errors, at most 20 of them."""
    pairs = [
        Pair(truth, matrix.labels[column], count, count / sum(counts))
        for row, (truth, counts) in enumerate(_labelled(matrix))
        for column, count in enumerate(counts)
        if column != row and count
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, pair.truth, pair.predicted))[:_MOST_PAIRS]


def _labelled(matrix: ConfusionMatrix) -> list[tuple[str, tuple[int, ...]]]:
    return list(zip(matrix.labels, matrix.counts, strict=True))


def _row(label: str, number: int, counts: tuple[int, ...]) -> Row:
    total = sum(counts)
    cells = tuple(
        Cell(count, count / total if total else 0.0, column == number) for column, count in enumerate(counts)
    )
    return Row(label, cells, cells[number].share, total)
