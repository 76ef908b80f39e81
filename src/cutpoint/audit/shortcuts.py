"""Shortcuts: whether something trivial about an example (its size, its border, its length) gives its label away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.collected import few
from cutpoint.types import Finding

STRONG, NOTABLE = 0.5, 0.25
"""Share of the way from chance to perfect, from which to warn and from which to note."""
STRONG_CLASS = 0.8
"""Recall minus false alarms of a single class, from which it is named and a warning."""
_MOST_ROWS = 4_000
_Z = 1.96
_FOLDS = 5
_FEWEST = 20
"""Examples of a class of which its recall is spoken."""


@dataclass(frozen=True)
class Strength:
    """How well a feature alone tells the labels.

    Attributes:
        lift: (balanced accuracy - chance) / (1 - chance), by its lower 95 % bound: 0 is chance, 1 perfect.
        accuracy: Balanced accuracy, cross-validated.
        classes: Youden's J (1950: recall minus rate of false alarms) of each class with enough examples, with the lower
            95 % bound of the recall.
    """

    lift: float
    accuracy: float
    classes: dict[int, float]


def strength(
    values: NDArray[np.floating], targets: NDArray[np.int64], classes: int, seed: int = 0
) -> Strength:
    """What a shallow tree gets from a feature alone, in a cross-validation of 5 folds.

    The tree has one leaf per class and three to spare, at least 5 examples a leaf, and weighs classes alike. The
    bound treats each class's recall as binomial.

    Args:
        values: (N,) or (N, columns).
        targets: int64 (N,) class numbers.
        classes: How many there are.
        seed: Of folds, and of the rows that are looked at where there are more than 4 000.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    rows = np.random.default_rng(seed).permutation(len(targets))[:_MOST_ROWS]
    values, targets = values.reshape(len(targets), -1)[rows], targets[rows]
    counts = np.bincount(targets, minlength=classes)
    kept = counts[targets] >= _FOLDS
    values, targets = values[kept], targets[kept]
    seen = np.unique(targets)
    if len(seen) < 2:
        return Strength(0.0, 0.0, {})
    tree = DecisionTreeClassifier(
        max_leaf_nodes=len(seen) + 3, min_samples_leaf=5, class_weight="balanced", random_state=seed
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    predicted = cross_val_predict(tree, values, targets, cv=folds)
    recall = np.array([(predicted[targets == number] == number).mean() for number in seen])
    alarms = np.array([(predicted[targets != number] == number).mean() for number in seen])
    variance = recall * (1 - recall) / counts[seen]
    lowest = recall - _Z * np.sqrt(variance)
    chance = 1 / len(seen)
    return Strength(
        lift=float((recall.mean() - _Z * np.sqrt(variance.sum()) / len(seen) - chance) / (1 - chance)),
        accuracy=float(recall.mean()),
        classes={
            int(number): float(gain)
            for number, gain in zip(seen, lowest - alarms, strict=True)
            if counts[number] >= _FEWEST
        },
    )


def shortcuts(
    features: Mapping[str, NDArray[np.floating]],
    targets: NDArray[np.int64],
    labels: tuple[str, ...],
    seed: int = 0,
) -> list[Finding]:
    """A finding on each feature that alone tells the labels.

    Warning: the lower bound is half the way from chance to perfect, or one class is told from all others with 80 %
    more hits than false alarms. Note: a quarter of the way.

    Args:
        features: Name of what is trivial → (N,) or (N, columns).
        targets: int64 (N,).
        labels: Class names.
        seed: As in `strength`.
    """
    found = []
    for name, values in features.items():
        measured = strength(values, targets, len(labels), seed)
        given_away = {
            labels[number]: gain for number, gain in measured.classes.items() if gain >= STRONG_CLASS
        }
        is_strong = measured.lift >= STRONG or bool(given_away)
        if not is_strong and measured.lift < NOTABLE:
            continue
        told = [
            f"{label} ({100 * gain:.0f} %)"
            for label, gain in sorted(given_away.items(), key=lambda pair: -pair[1])
        ]
        found.append(
            Finding(
                code="shortcut",
                severity="warning" if is_strong else "info",
                text=f"The {name} alone predicts the label: balanced accuracy {100 * measured.accuracy:.0f} %, chance "
                f"{100 / len(np.unique(targets)):.0f} %. A model may learn that instead of what is shown.",
                evidence=f"told from all others: {few(told)}" if told else "",
                remedy="Check how classes were collected; make it alike in all (crop, resize, save in one format), or "
                "test on data from elsewhere.",
            )
        )
    return found
