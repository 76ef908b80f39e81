"""Negative transfer's third sign: confident errors that follow the classes of the pretraining.

A network that has kept to its source classes answers a new input by what the source class usually meant among the
training examples. Whether errors do so is tested against chance among examples of one true class, so that classes that
are merely easy to confuse with one another do not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.types import Finding

Array = NDArray[Any]

CONFIDENT = 0.8
LEAST_ERRORS = 20
"""Fewer confident errors show no pattern."""
LEAST_OF_ALL = 0.1
"""Share of all examples that must be such errors: a few always are."""
FOLLOWS = 0.6
"""Share of the confident errors that the source class foretells: more than half, clear of a draw."""
LEAST_SEEN = 3
"""Training examples of a source class that say what it usually meant."""
_PERMUTATIONS = 1000
_CHANCE = 0.01


def usual_targets(source: Array, targets: Array, sources: int) -> Array:
    """What each source class usually was among the training examples.

    Args:
        source: (N,) source class that the pretrained classifier sees in each training example.
        targets: (N,) their true classes.
        sources: Number of source classes.

    Returns:
        (sources,) the commonest true class; -1 where there are too few examples to say.
    """
    usual = np.full(sources, -1, dtype=np.int64)
    for each in np.unique(source):
        own = targets[source == each]
        if len(own) >= LEAST_SEEN:
            usual[each] = np.bincount(own).argmax()
    return usual


def errors_follow_source(
    *,
    source: Array,
    usual: Array,
    truth: Array,
    predictions: Array,
    names: tuple[str, ...] = (),
    seed: int = 0,
) -> Finding | None:
    """A warning where most confident errors are what the input's source class usually meant.

    Args:
        source: (N,) source class of each judged example.
        usual: (sources,) as `usual_targets` gives it.
        truth: (N,) true classes.
        predictions: (N, classes) probabilities of the trained model.
        names: Of the source classes, where they are known.
        seed: Of the permutations.
    """
    predicted, confidence = predictions.argmax(axis=1), predictions.max(axis=1)
    wrong = (predicted != truth) & (confidence >= CONFIDENT) & (usual[source] >= 0)
    if wrong.sum() < max(LEAST_ERRORS, LEAST_OF_ALL * len(truth)):
        return None
    foretold = usual[source]
    share = float(np.mean(foretold[wrong] == predicted[wrong]))
    p = _chance(foretold, predicted, wrong, truth, share, seed)
    if share < FOLLOWS or p > _CHANCE:
        return None
    of_errors = source[wrong & (foretold == predicted)]
    seen, counts = np.unique(of_errors, return_counts=True)
    commonest = [_name(int(seen[i]), names) for i in np.argsort(-counts, kind="stable")[:3]]
    return Finding(
        code="errors-follow-source",
        severity="warning",
        text="Negative transfer: confident errors follow the classes that the backbone was pretrained on.",
        evidence=f"{wrong.sum()} of {len(truth)} examples are wrong with confidence {CONFIDENT:g} or more; for "
        f"{100 * share:.0f} % of them the answer is what their source class usually meant in training (p = {p:.3f} "
        f"by permutation within true classes), most often {', '.join(commonest)}",
        remedy="Label examples in which these source classes stand for other targets; unfreeze gradually at lower "
        "early rates with L2-SP, use an intermediate domain, or train from scratch.",
    )


def _chance(foretold: Array, predicted: Array, wrong: Array, truth: Array, share: float, seed: int) -> float:
    """How often the source classes of other examples of the same true class, right ones too, foretell as much."""
    random = np.random.default_rng(seed)
    known = foretold >= 0
    groups = [np.flatnonzero(known & (truth == each)) for each in np.unique(truth[wrong])]
    hits = 0
    for _ in range(_PERMUTATIONS):
        shuffled = foretold.copy()
        for group in groups:
            shuffled[group] = random.permutation(foretold[group])
        hits += float(np.mean(shuffled[wrong] == predicted[wrong])) >= share
    return (hits + 1) / (_PERMUTATIONS + 1)


def _name(number: int, names: tuple[str, ...]) -> str:
    return names[number].split(",")[0] if number < len(names) else f"source class {number}"
