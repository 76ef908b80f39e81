"""The every-layer probe: how much a linear head gets from each depth, and which cuts that suggests.

Where the score stops rising with depth, the blocks above say nothing more about the target task: they are
what is worth training. That this depth is the best first guess of the cut is a hypothesis, which the race
tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cutpoint.backbones.backbone import Backbone
from cutpoint.errors import DataError
from cutpoint.evaluation.metrics import check_metric
from cutpoint.features.activations import PooledFeatures
from cutpoint.features.transferability import h_score, logme
from cutpoint.heads.exact import fit_exact
from cutpoint.types import IGNORED, LayerProbe, Task

MOST_ROWS = 1000
"""Rows probed at most: the curve needs its shape, not its last half point."""
_STRENGTHS = (1e-3, 1e-1)
_FOLDS = 3
_FEWEST_OF_A_CLASS = 2
_HIGHEST_CUT = 0.75


def probe_layers(
    backbone: Backbone,
    pooled: PooledFeatures,
    targets: NDArray[np.generic],
    task: Task,
    *,
    groups: NDArray[np.generic] | None = None,
    seed: int = 0,
) -> tuple[LayerProbe, ...]:
    """Cross-validated score of an exact linear head on each block's pooled output, with LogME and H-score.

    Args:
        backbone: Names the blocks.
        pooled: Features of N training rows.
        targets: (N, …) as in `FeatureBank.targets`.
        task: What is predicted. Of tags, the words are probed, and those of a sentence held out together.
        groups: (N,) rows of one group are held out together.
        seed: Chooses the rows (at most `MOST_ROWS`) and the folds.

    Returns:
        One row a block, bottom first; none for a block without a held-out score (too few examples of every
        class, a metric that they do not define, features that are not finite).
    """
    if pooled.spans is not None:
        targets, task = targets[targets != IGNORED], task.for_heads
        groups = pooled.spans.owners if groups is None else groups[pooled.spans.owners]
    chosen = _probed_rows(targets, task, seed)
    kept = targets[chosen]
    inside = None if groups is None else groups[chosen]
    layers = []
    for number, (block, features) in enumerate(zip(backbone.blocks, pooled.blocks, strict=True), start=1):
        layer = _probe(number, block.name, features[chosen], kept, task, inside, seed)
        if layer is not None:
            layers.append(layer)
    return tuple(layers)


def held_out_score(
    features: NDArray[np.float32],
    targets: NDArray[np.generic],
    task: Task,
    *,
    strengths: Sequence[float],
    groups: NDArray[np.generic] | None,
    seed: int,
) -> float | None:
    """Metric of a cross-validated exact linear head; None where these examples allow none.

    Args:
        features: (N, D).
        targets: (N,) or (N, labels).
        task: What is predicted.
        strengths: Penalties to choose between.
        groups: (N,) rows of one group are held out together.
        seed: Deals the rows to the folds.
    """
    if len(np.unique(targets, axis=0)) < 2 or not np.isfinite(features).all():
        return None
    solved = fit_exact(
        features, targets, task, strengths=strengths, inner_folds=_FOLDS, groups=groups, seed=seed
    )
    if solved.out_of_fold is None:
        return None
    try:
        return check_metric(task).function(targets, solved.out_of_fold, task)
    except DataError:  # the metric is not defined on these targets, such as one class alone in a label
        return None


def _probed_rows(targets: NDArray[np.generic], task: Task, seed: int) -> NDArray[np.int64]:
    """At most `MOST_ROWS` rows, of classes with two examples or more: one cannot be held out as well."""
    chosen = np.random.default_rng(seed).permutation(len(targets))[:MOST_ROWS]
    if task.is_classification:
        counts = np.bincount(targets[chosen], minlength=task.outputs)
        chosen = chosen[counts[targets[chosen]] >= _FEWEST_OF_A_CLASS]
    return np.sort(chosen)


def _probe(
    number: int,
    block: str,
    features: NDArray[np.float32],
    targets: NDArray[np.generic],
    task: Task,
    groups: NDArray[np.generic] | None,
    seed: int,
) -> LayerProbe | None:
    """One row of the curve; None where these examples allow no held-out score."""
    value = held_out_score(features, targets, task, strengths=_STRENGTHS, groups=groups, seed=seed)
    if value is None:
        return None
    return LayerProbe(
        index=number,
        block=block,
        width=features.shape[1],
        score=value,
        logme=_finite(logme(features, targets, task)),
        h_score=_finite(h_score(features, targets)) if task.is_classification else None,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def proposed_cuts(
    curve: Sequence[LayerProbe], valid: Sequence[int], *, greater_is_better: bool = True
) -> tuple[int, ...]:
    """At most two cuts worth racing, the dearer one (more blocks trained) last.

    The first freezes up to the block that the head reads best; where that is near the top, or there is no
    curve, up to about three quarters of the stack. The second freezes half of that.

    Args:
        curve: The every-layer probe; empty where the examples allowed none.
        valid: Cuts that recompose exactly, in frozen blocks; 0 and all blocks among them.
        greater_is_better: Whether a greater score of the curve is the better one.
    """
    depth = max(valid, default=0)
    inner = [cut for cut in valid if 0 < cut < depth]
    if not inner:
        return ()
    sign = 1 if greater_is_better else -1
    best = max(curve, key=lambda layer: (sign * layer.score, -layer.index)).index if curve else depth
    first = min(best, round(_HIGHEST_CUT * depth))
    wanted = [first, first // 2]
    nearest = [min(inner, key=lambda cut: (abs(cut - target), cut)) for target in wanted]
    return tuple(dict.fromkeys(nearest))
