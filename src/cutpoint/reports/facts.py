"""What the report and the terminal table both derive from a Result: order, labels, gains."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cutpoint.evaluation.metrics import METRICS
from cutpoint.reports import format
from cutpoint.types import Comparison, Cost, Result, Score, Trial

STATUS_WORDS = {
    "finished": "finished",
    "skipped": "not run",
    "priced": "priced, not run",
    "eliminated": "out of the race",
    "failed": "failed",
    "interrupted": "interrupted",
}
_NO_BLOCKS = "head only"
"""Name of the cut behind the last block: at 0 there is none, as with statistics of an image."""
DISTANCE_NAMES = {"batchnorm-frechet": "shift of BatchNorm's statistics"}
"""Key of `Axes.to_source` → words, where the key is not already that."""
_SIZES = {
    "lora": "rank {}",
    "dora": "rank {}",
    "bottleneck": "width {}",
    "prefix": "{} virtual tokens",
    "prompt": "{} virtual tokens",
}
"""What the size of an adapter is, by its kind."""


@dataclass(frozen=True)
class Gain:
    """A trial's gain over the reference trial.

    Attributes:
        value: How much better the score is, as `Metric.gain` counts it.
        p_positive: P(gain > 0) from the paired bootstrap; None where the two were never compared.
    """

    value: float
    p_positive: float | None


def winner_of(result: Result) -> Trial | None:
    """The trial that ships; None before a choice was made."""
    return next((trial for trial in result.trials if trial.id == result.winner), None)


def cheapest_first(trials: Iterable[Trial]) -> list[Trial]:
    """Trials by measured seconds, else predicted ones, unknown last."""
    return sorted(trials, key=lambda trial: (_known_seconds(trial), trial.id))


def scored(result: Result) -> list[Trial]:
    """Trials with a validation score, cheapest first."""
    return cheapest_first(trial for trial in result.trials if trial.validation is not None)


def not_finished(result: Result) -> list[Trial]:
    """Trials that did not run to their end, cheapest first."""
    return cheapest_first(trial for trial in result.trials if trial.status not in ("finished", "eliminated"))


def reference_of(result: Result) -> Trial | None:
    """What gains are counted from: the probe judged on most examples, the deepest one of those.

    A first probe on few examples is only a stopgap. Without any probe it is the cheapest scored trial.
    """
    candidates = scored(result)
    probes = [trial for trial in candidates if is_probe(trial)]
    if probes:
        return max(probes, key=lambda trial: (trial.validation.n if trial.validation else 0, trial.cut or 0))
    return candidates[0] if candidates else None


def is_probe(trial: Trial) -> bool:
    """Whether the trial is a linear head on a frozen backbone."""
    return "probe" in trial.regime and trial.cut is not None


def is_from_random_weights(trial: Trial) -> bool:
    """Whether the trial is the control that uses the backbone's architecture without its weights."""
    regime = trial.recipe.get("regime")
    return "scratch" in trial.regime or (isinstance(regime, dict) and regime.get("init") == "random")


def gain_over(result: Result, trial: Trial, reference: Trial | None) -> Gain | None:
    """The paired comparison with the reference where there is one, else the plain difference."""
    if reference is None or trial.id == reference.id:
        return None
    for comparison in result.comparisons:
        if comparison.challenger == trial.id and comparison.leader == reference.id:
            return Gain(comparison.gain, comparison.p_positive)
    return _difference(trial.validation, reference.validation)


def comparison_of(result: Result, trial: Trial) -> Comparison | None:
    """The last comparison in which the trial was the challenger."""
    found = [comparison for comparison in result.comparisons if comparison.challenger == trial.id]
    return found[-1] if found else None


def block_count(result: Result, trial: Trial) -> int | None:
    """Blocks of the trial's backbone, where the every-layer probe tells."""
    rows = result.layer_probe.get(trial.backbone, ())
    return max((row.index for row in rows), default=None)


def labels_of(result: Result) -> dict[str, str]:
    """Trial id → how it is called everywhere: by its id, with the size of its adapter where it has one."""
    return {trial.id: trial.id + _size_detail(trial) for trial in result.trials}


def adapter_of(trial: Trial) -> dict[str, Any] | None:
    """The adapter that the trial trained, as recorded; None where it has none, or did not run."""
    regime = trial.recipe.get("regime")
    adapter = regime.get("adapter") if isinstance(regime, dict) else None
    return adapter if isinstance(adapter, dict) else None


def trained_in_words(result: Result, trial: Trial) -> str:
    """Which part of the network the trial trains, for readers who never saw one."""
    blocks = block_count(result, trial)
    if trial.cut is None or (trial.cut == 0 and trial.cut_name == _NO_BLOCKS):
        return "no pretrained network"
    if trial.status == "finished" and trial.cost.trainable_parameters == 0:
        return "as pretrained, nothing trained"
    if adapter_of(trial) is not None:
        where = f" in {trial.cut_name}" if trial.cut and trial.cut_name else ""
        return f"pretrained weights frozen, an adapter trained{where}"
    if trial.cut == 0:
        return "every block trained"
    where = f"; trains {trial.cut_name}" if trial.cut_name and trial.cut != blocks else ""
    if blocks is None:
        return f"first {trial.cut} blocks frozen{where}"
    if trial.cut >= blocks:
        return f"all {blocks} blocks frozen, only a new head"
    return f"{trial.cut} of {blocks} blocks frozen, top {blocks - trial.cut} trained{where}"


def efficient_front(points: Iterable[tuple[str, float, float]]) -> list[str]:
    """Ids of the points (id, cost, goodness) that no cheaper point equals or beats, cheapest first."""
    front: list[str] = []
    best = -math.inf
    for name, _, height in sorted(points, key=lambda point: (point[1], -point[2])):
        if height > best:
            front.append(name)
            best = height
    return front


def known_cost(trial: Trial) -> Cost:
    """The measured cost, or the predicted one of a trial that never ran."""
    return trial.predicted if trial.cost == Cost() else trial.cost


def _known_seconds(trial: Trial) -> float:
    known = known_cost(trial).seconds
    return math.inf if known is None else known


def _difference(found: Score | None, base: Score | None) -> Gain | None:
    if found is None or base is None:
        return None
    if found.metric in METRICS:
        return Gain(float(METRICS[found.metric].gain(base.value, found.value)), None)
    return Gain(format.direction(found.metric) * (found.value - base.value), None)


def _size_detail(trial: Trial) -> str:
    adapter = adapter_of(trial) or {}
    size = _SIZES.get(str(adapter.get("kind")))
    return "" if size is None else f" ({size.format(adapter.get('rank'))})"
