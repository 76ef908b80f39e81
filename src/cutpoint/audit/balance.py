"""How many examples each class has, and the weights that make all classes count alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.collected import few
from cutpoint.types import Finding, Severity

TINY = 10
"""Training examples below which a class can hardly be learned or judged."""
_UNEVEN, _VERY_UNEVEN = 3.0, 20.0
"""Largest class over smallest, from which to note it and from which to warn."""


def class_weights(labels: tuple[str, ...], counts: NDArray[np.int64]) -> dict[str, float]:
    """N / (classes · n) of each class with n examples (King & Zeng 2001): their mean over all examples is 1.

    Args:
        labels: Names of the classes.
        counts: int64 (classes,), training examples of each.
    """
    seen = counts > 0
    total = float(counts.sum()) / max(1, int(seen.sum()))
    return {label: total / float(count) for label, count in zip(labels, counts, strict=True) if count > 0}


def balance(labels: tuple[str, ...], counts: NDArray[np.int64]) -> list[Finding]:
    """Notes on classes of unequal size, warnings from 20 : 1 and on classes of fewer than 10 examples."""
    found = []
    order = np.argsort(counts, kind="stable")
    tiny = [f"{labels[index]} ({counts[index]})" for index in order if counts[index] < TINY]
    if tiny:
        found.append(
            Finding(
                code="tiny-classes",
                severity="warning",
                text=f"{len(tiny):,} of {len(labels):,} classes have fewer than {TINY} training examples.",
                evidence=few(tiny, 8),
                remedy="Label more of these (20 to 50 give a usable signal), or join classes.",
            )
        )
    smallest, largest = int(counts.min()), int(counts.max())
    ratio = largest / max(1, smallest)
    if ratio >= _UNEVEN:
        severity: Severity = "warning" if ratio >= _VERY_UNEVEN else "info"
        found.append(
            Finding(
                code="imbalance",
                severity=severity,
                text=f"The largest class has {ratio:.0f} times as many training examples as the smallest.",
                evidence=f"{labels[order[-1]]}: {largest:,}; {labels[order[0]]}: {smallest:,}",
                remedy="Judge by f1_macro or balanced_accuracy (--metric) if small classes matter as much; the "
                "balanced class weights stand in the audit.",
            )
        )
    return found
