"""How far fine-tuning moved the features: silent forgetting, which the task's own score does not show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.types import Finding, Retention

Array = NDArray[Any]

DRIFTED = 0.5
"""More than half of the features' similarity structure is gone."""


def linear_cka(before: Array, after: Array) -> float:
    """Linear centred kernel alignment of two sets of features: 1 equal up to rotation and scale, 0 unrelated.

    Kornblith et al. 2019, with the unbiased estimate of HSIC (Song et al. 2012): the plain one is near 1 for unrelated
    features wherever these are wider than the examples are many.

    Args:
        before: (N, D) features of N ≥ 4 examples.
        after: (N, E) others of the same examples.

    Returns:
        At most 1; unrelated features scatter around 0. Features without any variance are alike to none: 0.
    """
    first, second = _gram(before), _gram(after)
    own = _unbiased_hsic(first, first) * _unbiased_hsic(second, second)
    return float(_unbiased_hsic(first, second) / np.sqrt(own)) if own > 0 else 0.0


def feature_drift(before: Array, after: Array) -> float:
    """1 − linear CKA, kept within 0…1; arguments as for `linear_cka`."""
    return float(np.clip(1.0 - linear_cka(before, after), 0.0, 1.0))


def drift_finding(drift: float | None, retention: Retention | None) -> Finding | None:
    """A warning only where features moved and a reference proves that generality is gone; else information."""
    if drift is None or drift < DRIFTED:
        return None
    is_lost = retention is not None and retention.high < 0
    evidence = f"similarity of features on training inputs before and after (linear CKA): {1 - drift:.2f}"
    if retention is not None:
        evidence += f"; {retention.sentence}"
    text = "The features drifted far from the pretrained ones"
    told = {
        True: f"{text}, and what the backbone could do elsewhere is gone: silent forgetting.",
        False: f"{text}; the task's score does not show what that cost elsewhere.",
    }
    remedy = "Lower the rate, train the head first (LP-FT), pull toward the pretrained weights (L2-SP), or use LoRA."
    if retention is None:
        remedy = f"Name a data set of another subject with --reference to measure that. {remedy}"
    return Finding(
        code="features-drifted",
        severity="warning" if is_lost else "info",
        text=told[is_lost],
        evidence=evidence,
        remedy=remedy,
    )


def _gram(features: Array) -> Array:
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    gram: Array = centred @ centred.T
    np.fill_diagonal(gram, 0.0)
    return gram


def _unbiased_hsic(first: Array, second: Array) -> float:
    n = len(first)
    product = float((first * second).sum())
    sums = float(first.sum() * second.sum()) / ((n - 1) * (n - 2))
    cross = 2.0 * float(first.sum(axis=0) @ second.sum(axis=0)) / (n - 2)
    return (product + sums - cross) / (n * (n - 3))
