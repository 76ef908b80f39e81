"""Regret: test points below the best trial, with the best found on other rows than it is scored on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from .results import Outcome, Played

_HALVINGS = 20
"""Random halvings of the test split that are averaged."""
_LEVEL = 0.05


def regret(played: Played, outcome: Outcome) -> float:
    """Points of test accuracy below the oracle.

    The best trial of one half of the test rows is scored on the other, and the halves swap: the maximum of several
    trials over the rows that they are scored on would lie above each of them by luck alone.
    """
    random = np.random.default_rng(0)
    found = []
    for _ in range(_HALVINGS):
        order = random.permutation(len(outcome.is_right))
        middle = len(order) // 2
        for chosen_on, scored_on in ((order[:middle], order[middle:]), (order[middle:], order[:middle])):
            best = max(played.trials.values(), key=lambda trial: trial.is_right[chosen_on].mean())
            found.append(best.is_right[scored_on].mean() - outcome.is_right[scored_on].mean())
    return 100 * float(np.mean(found))


def is_within_noise(played: Played, outcome: Outcome) -> bool:
    """Whether an exact sign test does not tell the choice from the best trial on the whole test split."""
    best = max(played.trials.values(), key=lambda trial: trial.accuracy)
    return not _clearly_better(best.is_right, outcome.is_right)


def _clearly_better(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> bool:
    wins, losses = int((left & ~right).sum()), int((~left & right).sum())
    return wins > losses and binomtest(wins, wins + losses).pvalue < _LEVEL
