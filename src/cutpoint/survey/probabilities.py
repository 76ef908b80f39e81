"""What a probe says of examples that it did not see: every row's probabilities, at the price of a few thousand."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from cutpoint.data.splits import class_counts
from cutpoint.heads.chunks import Features, chunks
from cutpoint.heads.exact import fit_exact
from cutpoint.planning.judging import Rows
from cutpoint.types import Dataset

MOST_ROWS = 4_000
"""Rows on which the probe is cross-validated; it then answers for all others, which it has not seen."""
_MOST_NUMBERS = 150_000
"""Rows times classes, likewise: the solver's work grows with both."""
_FEWEST_ROWS = 1_000
_OF_EACH_CLASS = 5
_STRENGTHS = (1e-3, 1e-2, 1e-1)
_FOLDS = 5


def out_of_sample(
    dataset: Dataset, rows: Rows, features: Features, seed: int
) -> tuple[Rows, NDArray[np.float32]]:
    """Probabilities of an exact linear head for rows that it was not fitted on.

    Copies of one content, and rows of one group, are held out together: the probe would know the label by heart.

    Args:
        dataset: A classification task.
        rows: (N,) whose labels may be looked at.
        features: (N, D) of these rows.
        seed: Draws rows and folds.

    Returns:
        (M,) the rows that could be held out (not those of a class of one example), and (M, classes); both empty where
        no cross-validation is possible.
    """
    counts = class_counts(dataset.task, dataset.targets[rows])
    possible = np.flatnonzero(counts[dataset.targets[rows]] > 1)
    fitted = possible[_drawn(dataset.targets[rows[possible]], dataset.task.outputs, seed)]
    own = rows[fitted]
    solved = fit_exact(
        features[fitted],
        dataset.targets[own],
        dataset.task,
        strengths=_STRENGTHS,
        inner_folds=_FOLDS,
        groups=_units(dataset, own),
        seed=seed,
    )
    if solved.out_of_fold is None:
        return rows[:0], np.zeros((0, dataset.task.outputs), dtype=np.float32)
    others = np.setdiff1d(possible, fitted)
    with torch.inference_mode():
        answers = [
            solved.head(torch.from_numpy(chunk)).softmax(dim=1).numpy()
            for _, chunk in chunks(features, others)
        ]
    asked = np.concatenate([fitted, others])
    order = np.argsort(asked)
    return rows[asked[order]], np.concatenate([solved.out_of_fold, *answers])[order]


def _drawn(targets: NDArray[np.int64], classes: int, seed: int) -> Rows:
    """Positions of some rows at random, with a few of every class: what is never seen is never suggested."""
    most = min(MOST_ROWS, max(_FEWEST_ROWS, _MOST_NUMBERS // classes))
    order = np.random.default_rng(seed).permutation(len(targets))
    by_class = order[np.argsort(targets[order], kind="stable")]
    starts = np.searchsorted(targets[by_class], targets[by_class])
    few = by_class[np.arange(len(by_class)) - starts < _OF_EACH_CLASS]
    return np.union1d(order[:most], few)


def _units(dataset: Dataset, rows: Rows) -> NDArray[np.generic] | None:
    if dataset.groups is not None:
        return np.asarray(dataset.groups[rows])
    keys = np.array([dataset.keys[int(row)] for row in rows])
    return keys if len(np.unique(keys)) < len(keys) else None
