"""The every-layer probe: how much a linear head gets from each depth, and which cuts that suggests.

Where the score stops rising with depth, the blocks above say nothing more about the target task: they are what is
worth training. That this depth is the best first guess of the cut is a hypothesis, which the race tests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cutpoint.backbones.backbone import Backbone
from cutpoint.evaluation.intervals import score
from cutpoint.features.bank import PooledFeatures
from cutpoint.features.transferability import h_score, logme
from cutpoint.heads.exact import fit_exact
from cutpoint.types import LayerProbe, Task

MOST_ROWS = 1000
"""Rows probed at most: the curve needs its shape, not its last half point."""
_STRENGTHS = (1e-3, 1e-1)
_FOLDS = 3


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
        targets: (N, …) as in `Dataset.targets`.
        task: What is predicted.
        groups: (N,) rows of one group are held out together.
        seed: Chooses the rows (at most `MOST_ROWS`) and the folds.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(targets))[:MOST_ROWS])
    kept = targets[chosen]
    inside = None if groups is None else groups[chosen]
    return tuple(
        _probe(number, block.name, features[chosen], kept, task, inside, seed)
        for number, (block, features) in enumerate(zip(backbone.blocks, pooled.blocks, strict=True), start=1)
    )


def _probe(
    number: int,
    block: str,
    features: NDArray[np.float32],
    targets: NDArray[np.generic],
    task: Task,
    groups: NDArray[np.generic] | None,
    seed: int,
) -> LayerProbe:
    solved = fit_exact(
        features, targets, task, strengths=_STRENGTHS, inner_folds=_FOLDS, groups=groups, seed=seed
    )
    held_out = solved.out_of_fold
    value = float("nan") if held_out is None else score(task, targets, held_out).value
    return LayerProbe(
        index=number,
        block=block,
        width=features.shape[1],
        score=value,
        logme=logme(features, targets, task),
        h_score=h_score(features, targets) if task.is_classification else None,
    )


def proposed_cuts(curve: Sequence[LayerProbe], valid: Sequence[int]) -> tuple[int, ...]:
    """At most two cuts worth racing, the dearer one (more blocks trained) last.

    The first freezes up to the block that the head reads best; where that is the last one, up to about three
    quarters of the stack. The second freezes half of that.

    Args:
        curve: The every-layer probe.
        valid: Cuts that recompose exactly, in frozen blocks.
    """
    inner = [cut for cut in valid if 0 < cut < len(curve)]
    if not inner:
        return ()
    best = max(curve, key=lambda layer: (layer.score, -layer.index)).index
    first = min(best, round(0.75 * len(curve)))
    wanted = [first, first // 2]
    nearest = [min(inner, key=lambda cut: (abs(cut - target), cut)) for target in wanted]
    return tuple(dict.fromkeys(nearest))
