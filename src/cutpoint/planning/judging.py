"""On which rows trials are judged: held-out validation rows, or repeated cross-validation where rows are few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.splits import folds, holdout
from cutpoint.planning.settings import Settings
from cutpoint.types import Dataset

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Judging:
    """Train and validation rows of every fit, repeat by repeat.

    Attributes:
        rows: All rows that trials may see: training and validation, never test.
        judged: Rows that get a validation prediction.
        repeats: One tuple of (train rows, validation rows) fits a repeat.
        sentence: How validation was done, in words.
    """

    rows: Rows
    judged: Rows
    repeats: tuple[tuple[tuple[Rows, Rows], ...], ...]
    sentence: str

    @property
    def is_cross_validation(self) -> bool:
        return len(self.repeats[0]) > 1

    def fits(self, repeats: int) -> list[tuple[int, Rows, Rows]]:
        """(repeat, train rows, validation rows) of the first `repeats` repeats."""
        return [
            (number, train, held)
            for number, fits in enumerate(self.repeats[: max(repeats, 1)])
            for train, held in fits
        ]


def plan_judging(dataset: Dataset, settings: Settings) -> Judging:
    """The user's validation split where there is one; else cross-validation below `cross_validate_below` training
    rows, and a held-out fifth above."""
    train = dataset.splits["train"]
    given = dataset.splits.get("val")
    if given is not None and len(given):
        rows = np.sort(np.concatenate([train, given]))
        is_own = dataset.validation_origin == "given"
        sentence = f"on your validation split of {len(given)} examples" if is_own else _held_out(given)
        return Judging(rows, given, (((train, given),),), sentence)
    # A language model is judged on thousands of tokens even where its texts are few.
    if len(train) >= settings.cross_validate_below or dataset.task.kind == "language":
        kept, held = holdout(dataset, train, fraction=settings.validation_fraction, seed=settings.seed)
        return Judging(train, held, (((kept, held),),), _held_out(held))
    repeats = folds(dataset, train, count=settings.folds, repeats=settings.repeats, seed=settings.seed)
    count = len(repeats[0])
    sentence = f"by {count}-fold cross-validation over {len(train)} examples"
    if len(repeats) > 1:
        sentence += f", repeated {len(repeats)} times for heads"
    return Judging(train, train, tuple(tuple(fits) for fits in repeats), sentence)


def _held_out(rows: Rows) -> str:
    return f"on {len(rows)} examples held out from training"
