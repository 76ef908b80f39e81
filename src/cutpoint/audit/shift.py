"""Whether test examples come from elsewhere than training examples: a classifier two-sample test on features.

A linear classifier is taught to tell test from training examples and asked about held-out ones (Lopez-Paz & Oquab
2017). On a random split it can only guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.exhibits import exhibit
from cutpoint.audit.pairs import Rows
from cutpoint.heads.chunks import Features
from cutpoint.types import Dataset, Finding

CODE = "split-shift"
MARGIN = 0.1
"""The area under the curve must exceed one half by that, with its whole interval, to be told."""
MOST_ROWS = 2_000
"""Of each side; more are drawn at random."""
FEWEST_ROWS = 20

_FOLDS = 5
_Z = 1.959963984540054
_SHOWN = 4


@dataclass(frozen=True)
class Shift:
    """How well held-out examples are told apart.

    Attributes:
        area: Area under the ROC curve; one half is guessing.
        low: Of its 95 % interval.
        high: Of its 95 % interval.
        scores: (N,) of the rows that were asked about, higher is more like the test split.
        is_test: (N,).
        rows: (N,) their places in the features that were given, training before test.
    """

    area: float
    low: float
    high: float
    scores: NDArray[np.float64]
    is_test: NDArray[np.bool_]
    rows: Rows


def split_shift(
    train: Features,
    test: Features,
    *,
    train_groups: NDArray[np.generic] | None = None,
    test_groups: NDArray[np.generic] | None = None,
    seed: int = 0,
) -> Shift:
    """Cross-validated area under the curve of ridge regression of the split on standardised features.

    Its interval is DeLong's (1988). Rows of one group (or of one content) are held out together: a classifier that
    merely remembers an example would otherwise know its copy again.

    Args:
        train: (N, D) features.
        test: (M, D) features.
        train_groups: (N,) or None.
        test_groups: (M,) or None.
        seed: Draws the rows, of many, and the folds.
    """
    random = np.random.default_rng(seed)
    sizes = (len(train), len(test))
    drawn = [np.sort(random.permutation(size)[:MOST_ROWS]) for size in sizes]
    features = np.concatenate([train[drawn[0]], test[drawn[1]]]).astype(np.float64)
    is_test = np.repeat([False, True], [len(rows) for rows in drawn])
    folds = np.concatenate(
        [
            _folds(len(rows) if groups is None else groups[rows], random)
            for rows, groups in zip(drawn, (train_groups, test_groups), strict=True)
        ]
    )
    scores = np.empty(len(is_test))
    for fold in np.unique(folds):
        held = folds == fold
        scores[held] = _ridge(features[~held], is_test[~held], features[held])
    area, deviation = _area(scores[is_test], scores[~is_test])
    return Shift(
        area=area,
        low=max(0.0, area - _Z * deviation),
        high=min(1.0, area + _Z * deviation),
        scores=scores,
        is_test=is_test,
        rows=np.concatenate([drawn[0], drawn[1] + len(train)]),
    )


def shift_findings(
    dataset: Dataset,
    train_rows: Rows,
    train: Features,
    test_rows: Rows,
    test: Features,
    seed: int = 0,
) -> tuple[Finding, ...]:
    """A warning where test examples are told from training examples beyond doubt and `MARGIN`.

    Args:
        dataset: The data; their labels are not looked at.
        train_rows: (N,) rows of the training features.
        train: (N, D).
        test_rows: (M,) rows of the test features.
        test: (M, D).
        seed: As in `split_shift`.
    """
    groups = np.array(dataset.keys) if dataset.groups is None else dataset.groups
    found = split_shift(
        train, test, train_groups=groups[train_rows], test_groups=groups[test_rows], seed=seed
    )
    if found.low <= 0.5 + MARGIN:
        return ()
    rows = np.concatenate([train_rows, test_rows])[found.rows]
    order = np.argsort(-found.scores, kind="stable")
    strangest = rows[order[found.is_test[order]][:_SHOWN]]
    most_usual = rows[order[~found.is_test[order]][::-1][:_SHOWN]]
    return (
        Finding(
            code=CODE,
            severity="warning",
            text="Test examples differ from training examples: in the backbone's features a linear classifier tells "
            f"them apart with an area under the curve of {found.area:.2f} "
            f"({found.low:.2f} to {found.high:.2f}); one half would be guessing.",
            evidence=f"Cross-validated over {int((~found.is_test).sum())} training and {int(found.is_test.sum())} test "
            "examples; the most telling of each are shown.",
            remedy="If the model will meet what the test split shows, add such examples to the training split; if not, "
            "split anew. Validation scores say little about this test split.",
            exhibits=(
                *(exhibit(dataset, int(row), "test, least like training") for row in strangest),
                *(exhibit(dataset, int(row), "train, least like test") for row in most_usual),
            ),
        ),
    )


def _folds(groups: int | NDArray[np.generic], random: np.random.Generator) -> NDArray[np.int64]:
    """Fold of each row; whole groups are dealt out, the largest first."""
    if isinstance(groups, int):
        groups = np.arange(groups)
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shuffled = random.permutation(len(sizes))
    fold = np.empty(len(sizes), dtype=np.int64)
    held = np.zeros(_FOLDS)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold[group] = held.argmin()
        held[held.argmin()] += sizes[group]
    return fold[member]


def _ridge(
    features: NDArray[np.float64], is_test: NDArray[np.bool_], asked: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Answers of ridge regression whose penalty weighs as much as the features do, solved over the rows or columns."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = np.where(deviation > 1e-6 * max(deviation.max(), 1e-12), deviation, np.inf)
    known, unknown = (features - mean) / scale, (asked - mean) / scale
    share = is_test.mean()
    wanted = is_test - share
    weights = np.where(is_test, 1 / share, 1 / (1 - share)) / 2
    root = np.sqrt(weights)[:, None]
    known, wanted = known * root, wanted * root[:, 0]
    penalty = float(features.shape[1])
    if len(known) < known.shape[1]:
        solved = known.T @ np.linalg.solve(known @ known.T + penalty * np.eye(len(known)), wanted)
    else:
        solved = np.linalg.solve(known.T @ known + penalty * np.eye(known.shape[1]), known.T @ wanted)
    return np.asarray(unknown @ solved)


def _area(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> tuple[float, float]:
    """Area under the ROC curve and its standard deviation (DeLong et al. 1988), from placements."""
    above = _share_below(np.sort(negative), positive)
    below = 1 - _share_below(np.sort(positive), negative)
    variance = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    return float(above.mean()), float(np.sqrt(variance))


def _share_below(ordered: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the ordered values below each of the others; equal ones count half."""
    left, right = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return np.asarray((left + right) / (2 * len(ordered)))
