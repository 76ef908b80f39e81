"""Is the dearer trial worth it? A paired comparison on the same examples.

The rule weighs expected gain, not proof: a test at 5 % would refuse a true gain of five points three times in
four at 40 examples. A challenger replaces the leader when its measured gain is at least `min_gain` and it is
ahead in at least two thirds of paired bootstrap resamples; it is eliminated when fewer than 10 % show a gain of
`min_gain`.

What the rule costs and finds, in 4 000 simulated pairs each (accuracy near .8, one example in five decided
otherwise, `min_gain` half a point; 40 / 150 / 450 examples). Two equal trials swap places with probability
.28 / .29 / .31, at no loss but the dearer one's cost, and four in five of these swaps are announced as
"likely, not proven". A true gain of five points is taken with probability .52 / .76 / .95, one of two points
with .49 at 150 and .67 at 450; either is eliminated in at most one case in fourteen. Asking for four fifths of
the resamples instead would halve the swaps, and lose a fifth to two thirds more accuracy where true gains are
spread around nought (benchmarks/coverage.py).

Either side is given one imaginary win (accuracy and other shares): where two trials disagree on a handful of
examples only, near a perfect score above all, plain resampling takes two more right answers for evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cutpoint.evaluation.intervals import as_repeats
from cutpoint.evaluation.metrics import Metric, check_metric
from cutpoint.evaluation.resampling import bootstrap, bootstrap_mean
from cutpoint.types import Comparison, Task

Array = NDArray[Any]

LIKELY = 2 / 3
"""Share of resamples that must see the challenger ahead: twice as many as see it behind (what assessments call
"likely", Mastrandrea et al. 2010)."""
PROVEN = 0.95
"""Below this a gain is called likely, not proven."""
HOPELESS = 0.1
"""A challenger whose worthwhile gain is less probable than this is out of the race."""

_RESAMPLES = 2_000
# Sums of whole examples cancel up to this; it must not decide whether a gain is zero or the least that pays.
_ROUNDING = 1e-9


def compare(
    task: Task,
    targets: Array,
    leader: Array,
    challenger: Array,
    *,
    leader_id: str,
    challenger_id: str,
    min_gain: float = 0.005,
    needed: float = LIKELY,
    groups: Array | None = None,
    seed: int = 0,
) -> Comparison:
    """Decide whether the challenger takes the leader's place, by a paired bootstrap over examples.

    Args:
        task: Names the metric. Where lower is better, the gain is the decrease; of perplexity it is the share
            of the leader's by which it falls.
        targets: As in `Dataset.targets`, N rows.
        leader: (N, outputs) predictions, or (R, N, outputs) from repeats, whose metrics are averaged.
        challenger: Predictions for the same rows; its repeats may be more or fewer.
        leader_id: How the sentence calls the leader.
        challenger_id: How the sentence calls the challenger.
        min_gain: Least gain that pays, in units of the metric; for perplexity a share, so that 0.005 is half
            a per cent, which is as many thousandths of a nat a token.
        needed: Share of resamples that must see the challenger ahead; `PROVEN` where likely is not enough.
        groups: (N,) rows of one group are resampled together.
        seed: Of the bootstrap.

    Raises:
        DataError: A metric that is unknown, unfit for the task, or undefined on these targets.
    """
    metric = check_metric(task)
    paired = paired_gain(task, targets, leader, challenger, groups=groups, seed=seed)
    p_positive = float(np.mean(paired.resampled > _ROUNDING))
    p_worthwhile = float(np.mean(paired.resampled >= min_gain - _ROUNDING))
    comparison = Comparison(
        leader=leader_id,
        challenger=challenger_id,
        gain=paired.gain,
        low=paired.low,
        high=paired.high,
        p_positive=p_positive,
        p_worthwhile=p_worthwhile,
        decision=_decide(paired.gain, p_positive, p_worthwhile, min_gain, needed),
        sentence="",
    )
    return comparison.model_copy(update={"sentence": _sentence(metric, comparison, min_gain)})


@dataclass(frozen=True)
class PairedGain:
    """How much better one side is than the other on the same examples (see `Metric.gain`).

    Attributes:
        gain: As measured.
        low: Lower end of its 95 % interval.
        high: Upper end.
        resampled: The gain in each resample that defines the metric.
    """

    gain: float
    low: float
    high: float
    resampled: Array


def paired_gain(
    task: Task, targets: Array, before: Array, after: Array, *, groups: Array | None, seed: int
) -> PairedGain:
    """The gain of `after` on `before`, with a paired bootstrap; arguments as for `compare`."""
    metric = check_metric(task)
    sides = (as_repeats(before), as_repeats(after))
    values = [float(np.mean([metric.function(targets, one, task) for one in side])) for side in sides]
    gain = float(metric.gain(*values))
    resampled = _resampled_gains(metric, task, targets, sides, groups, seed)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return PairedGain(gain, min(float(low), gain), max(float(high), gain), resampled)


def _resampled_gains(
    metric: Metric, task: Task, targets: Array, sides: tuple[Array, Array], groups: Array | None, seed: int
) -> Array:
    """The gain in each resample; resamples that do not define the metric are left out."""
    per_example = metric.per_example
    if per_example is not None:
        leading, challenging = (
            np.mean([per_example(targets, one, task) for one in side], axis=0) for side in sides
        )
        differences = challenging - leading
        if metric.share:
            differences, groups = _with_one_win_each(differences, groups)
        means = bootstrap_mean(differences, resamples=_RESAMPLES, groups=groups, seed=seed)
        return np.asarray(metric.gain(0.0, means * (len(differences) / len(targets))))

    def statistic(weights: Array) -> Array:
        leading, challenging = (
            np.mean([metric.weighted(targets, one, task, weights) for one in side], axis=0) for side in sides
        )
        return np.asarray(metric.gain(leading, challenging))

    gains = bootstrap(statistic, len(targets), resamples=_RESAMPLES, groups=groups, seed=seed)
    return gains[np.isfinite(gains)]


def _with_one_win_each(differences: Array, groups: Array | None) -> tuple[Array, Array | None]:
    """One imaginary example won by either side: a uniform prior on who wins where the two disagree.

    Without it, two more right answers among hundreds, and none fewer, would count as ahead in 86 % of resamples.
    """
    if groups is not None:
        groups = np.concatenate([np.unique(groups, return_inverse=True)[1], [len(groups), len(groups) + 1]])
    return np.concatenate([differences, [1.0, -1.0]]), groups


def _decide(
    gain: float, p_positive: float, p_worthwhile: float, min_gain: float, needed: float
) -> Literal["replaces", "kept out", "eliminated"]:
    if gain >= min_gain - _ROUNDING and p_positive >= needed:
        return "replaces"
    return "eliminated" if p_worthwhile < HOPELESS else "kept out"


def _sentence(metric: Metric, comparison: Comparison, min_gain: float) -> str:
    change = _change(metric, comparison)
    chance = f"the chance that it is better at all is {_percent(comparison.p_positive)}"
    worthwhile = f"the chance of a gain of {amount(metric, min_gain)} is {_percent(comparison.p_worthwhile)}"
    if comparison.decision == "replaces" and comparison.p_positive >= PROVEN:
        return f"{change}; {chance}: it takes the lead."
    if comparison.decision == "replaces":
        return f"{change}; {chance}: likely, not proven. It takes the lead."
    if comparison.decision == "eliminated":
        return f"{change}; {worthwhile}: it is out of the race."
    return f"{change}; {chance}, and {worthwhile}: not enough to take the lead."


def _change(metric: Metric, comparison: Comparison) -> str:
    name, size = metric.name.replace("_", " "), amount(metric, abs(comparison.gain))
    leader, challenger, shown = comparison.leader, comparison.challenger, interval(metric, comparison)
    if size == amount(metric, 0.0):
        return f"{challenger} equals {leader} in {name} {shown}"
    is_better = comparison.gain > 0
    if metric.relative:
        return f"{challenger} {'lowers' if is_better else 'raises'} {name} by {size} {shown} against {leader}"
    return f"{challenger} {'gains' if is_better else 'loses'} {size} of {name} {shown} on {leader}"


def amount(metric: Metric, gain: float) -> str:
    """A gain in words: in points, per cent, or the metric's own unit."""
    unit = " points" if metric.share else " %" if metric.relative else ""
    return _bare(metric, gain) + unit


def interval(metric: Metric, found: Comparison | PairedGain) -> str:
    """The ends of a gain's interval in brackets, in the unit that `amount` names."""
    return f"[{_bare(metric, found.low)}, {_bare(metric, found.high)}]"


def _bare(metric: Metric, gain: float) -> str:
    # Adding zero turns a rounded -0.0 into 0.0.
    in_hundredths = metric.share or metric.relative
    return f"{round(100 * gain, 1) + 0.0:.1f}" if in_hundredths else f"{gain + 0.0:.3g}"


def _percent(probability: float) -> str:
    if 0 < probability < 0.01:
        return "below 1 %"
    return "above 99 %" if 0.99 < probability < 1 else f"{100 * probability:.0f} %"
