"""Bootstrap weights: how often each row stands in each resample (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Resamples are drawn in portions of this many weights (4 MB, of which four are held), whatever the number of rows.
_WEIGHTS_AT_ONCE = 500_000


def bootstrap(
    statistic: Callable[[Array], Array], rows: int, *, resamples: int, groups: Array | None, seed: int
) -> Array:
    """Values (resamples,) of a statistic that maps weights (B, rows) to (B,).

    With groups, whole groups are drawn: rows of one group are not independent evidence.
    """
    return np.concatenate([statistic(weights) for weights in _weights(rows, resamples, groups, seed)])


def bootstrap_mean(values: Array, *, resamples: int, groups: Array | None, seed: int) -> Array:
    """Means (resamples,) of resampled values (rows,)."""
    rows = len(values)
    distinct, counts = np.unique(np.round(values, 12), return_counts=True)
    if groups is None and len(distinct) < rows:
        # Rows of equal value are alike: how many of each are drawn is all that the mean needs.
        drawn = np.random.default_rng(seed).multinomial(rows, counts / rows, size=resamples)
        return np.asarray(drawn @ distinct / rows)
    return bootstrap(
        lambda weights: np.asarray(weights @ values / weights.sum(axis=1)),
        rows,
        resamples=resamples,
        groups=groups,
        seed=seed,
    )


def unit_numbers(rows: int, groups: Array | None) -> NDArray[np.int64]:
    """(rows,) number of the independent unit of each row: its group, or itself."""
    if groups is None:
        return np.arange(rows)
    return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.int64)


def _weights(rows: int, resamples: int, groups: Array | None, seed: int) -> Iterator[Array]:
    units = unit_numbers(rows, groups)
    count = int(units.max()) + 1
    random = np.random.default_rng(seed)
    portion = max(1, _WEIGHTS_AT_ONCE // rows)
    for start in range(0, resamples, portion):
        size = min(portion, resamples - start)
        drawn = random.integers(0, count, size=(size, count)) + count * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count).astype(np.float64)
        yield counts if groups is None else counts[:, units]
