"""What finished trials trained, as their recipes say, and which of them is best."""

from __future__ import annotations

from collections.abc import Sequence

from cutpoint.evaluation.metrics import METRICS
from cutpoint.types import Trial


def is_scratch(trial: Trial) -> bool:
    """Whether it trained the network from random weights."""
    stated = trial.recipe.get("regime", {})
    return isinstance(stated, dict) and stated.get("init") == "random"


def is_head_only(trial: Trial) -> bool:
    """Whether every stage that is known of it trained the head alone."""
    stages = trial.recipe.get("stages", [])
    return bool(stages) and all(stage["phase"]["train"] == "head" for stage in stages)


def trains_blocks(trial: Trial) -> bool:
    """Whether more than a head was trained, from pretrained weights."""
    stages = trial.recipe.get("stages", [])
    return not is_scratch(trial) and any(stage["phase"]["train"] != "head" for stage in stages)


def best_of(trials: Sequence[Trial]) -> Trial:
    """The best validated trial."""

    def merit(trial: Trial) -> float:
        score = trial.validation
        if score is None:
            return float("-inf")
        return METRICS[score.metric].sign * score.value

    return max(trials, key=merit)
