"""Burst shots: consecutive numbers in file names whose pictures are alike, on both sides of a split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.correlation import correlations
from cutpoint.audit.pairs import Rows
from cutpoint.types import Finding

_NUMBERED = re.compile(r"(.*?)(\d+)")
_ALIKE = 0.9
"""Correlation of 16 × 16 grey pixels from which two pictures may be of one scene."""
_FEWEST = 5
_FACTOR = 5.0
"""How much oftener neighbours must be alike than other pictures of the same label are."""


def consecutive(names: Sequence[str]) -> tuple[Rows, Rows]:
    """Pairs of rows whose names are the same but for a last number that is one higher (IMG_0012, IMG_0013).

    Folders do not count: a split parts what was shot together.
    """
    numbered = [_NUMBERED.fullmatch(PurePosixPath(name).stem) for name in names]
    row_of = {(match[1], int(match[2])): row for row, match in enumerate(numbered) if match is not None}
    pairs = [
        (row, row_of[prefix, number + 1])
        for (prefix, number), row in row_of.items()
        if (prefix, number + 1) in row_of
    ]
    linked = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return linked[:, 0], linked[:, 1]


def bursts(
    names: Sequence[str],
    thumbnails: NDArray[np.uint8],
    labels: Sequence[str],
    train: Rows,
    test: Rows,
    seed: int = 0,
) -> list[Finding]:
    """A warning where consecutive shots are alike far oftener than other pictures of the same label, and the split
    parts them.

    Args:
        names: N names.
        thumbnails: uint8 (N, 16, 16).
        labels: N labels.
        train: Rows of the training split.
        test: Rows of the test split.
        seed: Of the other pictures.
    """
    left, right = consecutive(names)
    same_label = np.array([labels[a] == labels[b] for a, b in zip(left, right, strict=True)], dtype=bool)
    left, right = left[same_label], right[same_label]

    def are_alike(others: Rows) -> NDArray[np.bool_]:
        return correlations(lambda rows: thumbnails[rows].reshape(len(rows), -1), left, others) >= _ALIKE

    alike = are_alike(right)
    parted = alike & (
        np.isin(left, train) & np.isin(right, test) | np.isin(left, test) & np.isin(right, train)
    )
    others = _others(labels, left, np.random.default_rng(seed))
    usual = are_alike(others).mean() if len(left) else 1.0
    if parted.sum() < _FEWEST or alike.mean() < _FACTOR * max(float(usual), 1 / len(left)):
        return []
    shown = "; ".join(
        f"{names[a]}, {names[b]}" for a, b in zip(left[parted][:3], right[parted][:3], strict=True)
    )
    return [
        Finding(
            code="burst-shots",
            severity="warning",
            text=f"{int(alike.sum()):,} of {len(left):,} pairs of consecutive files show nearly the same scene (other "
            f"pictures of the same label: {usual:.1%}); the split parts {int(parted.sum()):,} of them.",
            evidence=shown,
            remedy="Give a table with a column that names the scene of each picture, and --group COLUMN.",
        )
    ]


def _others(labels: Sequence[str], rows: Rows, random: np.random.Generator) -> Rows:
    """For each row another one of its label, drawn at random."""
    _, label_of = np.unique(np.asarray(labels), return_inverse=True)
    order = np.argsort(label_of, kind="stable")
    counts = np.bincount(label_of)
    start = np.concatenate([[0], np.cumsum(counts)])[:-1]
    own = label_of[rows]
    return np.asarray(order[start[own] + random.integers(0, counts[own])], dtype=np.int64)
