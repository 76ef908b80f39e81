"""How far a fit moved the features of some of its training inputs."""

from __future__ import annotations

import numpy as np

from cutpoint.evaluation.drift import feature_drift
from cutpoint.regimes.regime import Phase
from cutpoint.training.fit import Fit
from cutpoint.training.source import source_for

_MOST = 128
_LEAST = 8
"""Fewer examples say nothing of similarity."""
_AS_IT_CAME = Phase(train="head", solver="exact")


def drift_of(fit: Fit) -> float | None:
    """1 − linear CKA between pooled features before and after, on a fixed sample of training inputs.

    Returns:
        None where the backbone did not train, began at random, or puts out no features.
    """
    blocks, data = len(fit.blocks), fit.data
    if (
        data.task.kind == "language"
        or fit.recipe.regime.init == "random"
        or fit.reached_cut == blocks
        or len(data.train) < _LEAST
    ):
        return None
    rows = np.sort(np.random.default_rng(0).permutation(data.train)[:_MOST])
    pretrained = source_for(fit.network, data.bank, _AS_IT_CAME, blocks, fit.seed, fit.device)
    before, after = (fit.features(rows, source).float().cpu().numpy() for source in (pretrained, None))
    return feature_drift(before, after)
