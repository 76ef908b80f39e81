"""Ways of choosing a regime: the race, and what people do instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .results import Outcome, Played

Choose = Callable[[Played], list[Outcome]]
"""A cell's outcomes, whose regret and cost are averaged; several where the choice is random."""

ORDERS = 200
"""Random orders that are averaged."""


def by_validation(played: Played) -> list[Outcome]:
    """Everything is run, and the best validation score ships."""
    best = max(played.trials.values(), key=lambda outcome: outcome.validation)
    return [_at_cost(best, played.exhaustive_seconds)]


def the_race(played: Played) -> list[Outcome]:
    """What Cutpoint ships."""
    return [played.race]


def always(*regimes: str) -> Choose:
    """The first of these regimes that the cell has."""

    def choose(played: Played) -> list[Outcome]:
        outcome = trial_of(played, regimes)
        return [_at_cost(outcome, played.shared_seconds + outcome.seconds)]

    return choose


def by_rule(rule_set: str) -> Choose:
    """What one of the field's static rule sets recommends; the probe where it says nothing that can be run."""

    def choose(played: Played) -> list[Outcome]:
        outcome = trial_of(played, [*played.rules.get(rule_set, ()), "linear-probe"])
        return [_at_cost(outcome, played.shared_seconds + outcome.seconds)]

    return choose


def random_order(played: Played) -> list[Outcome]:
    """Trials in random order until the race's cost is spent; the best validation score of those that ended ships.

    The probe is there from the beginning, as it is for the race.
    """
    random, found = np.random.default_rng(played.seed), []
    probe = trial_of(played, ["linear-probe"])
    for _ in range(ORDERS):
        spent, ended = played.shared_seconds + probe.seconds, [probe]
        for outcome in random.permutation(np.array(list(played.trials.values()), dtype=object)):
            if outcome is not probe and spent + outcome.seconds <= played.race.seconds:
                spent += outcome.seconds
                ended.append(outcome)
        found.append(_at_cost(max(ended, key=lambda outcome: outcome.validation), spent))
    return found


def trial_of(played: Played, regimes: list[str] | tuple[str, ...]) -> Outcome:
    """The first trial of the first regime that was run; a regime with several cuts stands with the first proposed."""
    for regime in regimes:
        named = [name for name in played.trials if name.split("@")[0] == regime]
        if named:
            return played.trials[max(named, key=lambda name: int(name.split("@")[1]) if "@" in name else 0)]
    raise KeyError(f"{played.cell} has none of {', '.join(regimes)}")


def _at_cost(outcome: Outcome, seconds: float) -> Outcome:
    return Outcome(outcome.trial, outcome.is_right, outcome.validation, seconds)


CONTENDERS: Mapping[str, Choose] = {
    "race": the_race,
    "everything, best validation": by_validation,
    "always probe": always("linear-probe"),
    "always full": always("full"),
    "always LoRA or partial": always("lora", "partial"),
    "rules A": by_rule("A"),
    "rules B": by_rule("B"),
    "rules C": by_rule("C"),
    "rules D": by_rule("D"),
    "rules E": by_rule("E"),
    "random order, the race's cost": random_order,
}
