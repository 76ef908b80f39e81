"""Scores of exact heads on growing shares of the training rows.

Each share is a part of the next. Few rows are judged by cross-validation, many on one held-out fifth, where small
shares are drawn several times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.evaluation.intervals import score
from cutpoint.evaluation.metrics import METRICS, check_metric
from cutpoint.heads.chunks import Chosen, Features, predict_rows
from cutpoint.heads.exact import fit_exact, fit_exact_strength
from cutpoint.heads.folds import assign_folds
from cutpoint.types import Score, Task

SHARES = {0.1: 5, 0.25: 3, 0.5: 2, 1.0: 1}
"""Share of the rows that heads may be trained on → times that it is drawn, where one held-out part judges."""
CROSS_VALIDATED_BELOW = 1000
_CHOOSES_UP_TO = 0.25
"""Share up to which cross-validation chooses the penalty; larger ones keep the last choice, and cost a fraction."""
_FOLDS = 5
_INNER_FOLDS = 3
_FEWEST_ROWS = 10
_FEWEST_PER_CLASS = 2
_NORMAL = 1.96

Array = NDArray[Any]


@dataclass(frozen=True)
class Measured:
    """A share's score, and the metric of each of its draws where there are several."""

    score: Score
    repeats: tuple[float, ...]


@dataclass(frozen=True)
class Bench:
    """Rows to train on in the order in which shares take them, and rows to judge on.

    Attributes:
        draws: (repeat, rows in order, held-out rows); one repeat with all folds, or several with the same fold.
        judged: Rows that get a prediction, sorted.
    """

    targets: Array
    task: Task
    groups: Array | None
    seed: int
    draws: tuple[tuple[int, Array, Array], ...]
    judged: Array

    @classmethod
    def of(cls, targets: Array, task: Task, groups: Array | None, seed: int) -> Bench | None:
        """None where nothing can be held out."""
        folds = assign_folds(targets, task, _FOLDS, groups, seed)
        if folds is None:
            return None
        random = np.random.default_rng(seed)
        draws = []
        if len(targets) < CROSS_VALIDATED_BELOW:
            for fold in range(int(folds.max()) + 1):
                order = _order(np.flatnonzero(folds != fold), targets, task, groups, random)
                draws.append((0, order, np.flatnonzero(folds == fold)))
            return cls(targets, task, groups, seed, tuple(draws), np.arange(len(targets)))
        held = np.flatnonzero(folds == 0)
        for repeat in range(max(SHARES.values())):
            order = _order(np.flatnonzero(folds != 0), targets, task, groups, random)
            draws.append((repeat, order, held))
        return cls(targets, task, groups, seed, tuple(draws), held)

    @property
    def shares(self) -> list[float]:
        """Those with enough rows to learn anything from."""
        fewest = _FEWEST_ROWS
        if self.task.is_classification:
            fewest = max(fewest, _FEWEST_PER_CLASS * self.task.outputs)
        return [share for share in SHARES if self.rows_of(share) >= fewest]

    def rows_of(self, share: float) -> int:
        """How many rows a share is."""
        return round(share * len(self.draws[0][1]))

    def measure(self, features: Features) -> list[Measured]:
        """The score with each share of the rows.

        Args:
            features: (N, width) float32, read as needed.

        Raises:
            DataError: The metric is not defined on the judged rows, or features are not finite.
        """
        strength: float | None = None
        found = []
        for share in self.shares:
            if share <= _CHOOSES_UP_TO or strength is None:
                strength = self._choose(features, share)
            found.append(self._measure_share(features, share, strength))
        return found

    def _choose(self, features: Features, share: float) -> float:
        rows = np.sort(self.draws[0][1][: self.rows_of(share)])  # files are read best in order
        groups = None if self.groups is None else self.groups[rows]
        return fit_exact(
            Chosen(features, rows),
            self.targets[rows],
            self.task,
            inner_folds=_INNER_FOLDS,
            groups=groups,
            seed=self.seed,
        ).strength

    def _measure_share(self, features: Features, share: float, strength: float) -> Measured:
        repeats = min(SHARES[share], 1 + max(repeat for repeat, _, _ in self.draws))
        table = np.full((repeats, len(self.judged), self.task.outputs), np.nan, dtype=np.float32)
        for repeat, order, held in self.draws:
            if repeat < repeats:
                rows = np.sort(order[: self.rows_of(share)])
                head = fit_exact_strength(
                    Chosen(features, rows), self.targets[rows], self.task, strength
                ).head
                scores = predict_rows(head, self.task, Chosen(features, held))
                table[repeat, np.searchsorted(self.judged, held)] = scores
        targets = self.targets[self.judged]
        groups = None if self.groups is None else self.groups[self.judged]
        found = score(self.task, targets, table, groups=groups, seed=self.seed)
        metric = check_metric(self.task)
        each = tuple(metric.function(targets, one, self.task) for one in table) if repeats > 1 else ()
        return Measured(_with_draws(found, each), each)


def _order(
    rows: Array, targets: Array, task: Task, groups: Array | None, random: np.random.Generator
) -> Array:
    """The rows so that every beginning has the classes in the shares of all; whole groups one after another."""
    rows = random.permutation(rows)
    if groups is not None:
        _, number = np.unique(groups[rows], return_inverse=True)
        return np.asarray(rows[np.argsort(random.permutation(int(number.max()) + 1)[number], kind="stable")])
    if not task.is_classification:
        return rows
    place = np.empty(len(rows))
    for label in np.unique(targets[rows]):
        own = np.flatnonzero(targets[rows] == label)
        place[own] = (np.arange(len(own)) + random.random()) / len(own)
    return np.asarray(rows[np.argsort(place, kind="stable")])


def _with_draws(found: Score, repeats: Sequence[float]) -> Score:
    """The score with an interval for the luck of which rows were drawn, beside that of which rows judge."""
    if len(repeats) < 2:
        return found
    drawn = _NORMAL * float(np.std(repeats, ddof=1)) / math.sqrt(len(repeats))
    return widened(found, drawn, drawn)


def widened(found: Score, below: float, above: float) -> Score:
    """The score with independent errors added to its interval, inside what the metric can be."""
    low = found.value - math.hypot(found.value - found.low, below)
    high = found.value + math.hypot(found.high - found.value, above)
    metric = METRICS[found.metric]
    if metric.share:
        high = min(high, 1.0)
    if not metric.greater_is_better:
        low = max(low, 0.0)
    return found.model_copy(update={"low": low, "high": high})
