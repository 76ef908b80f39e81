"""What the user fixed before the race; a resumed run must have the same."""

from __future__ import annotations

import re

from cutpoint.engines.names import EngineRequest
from cutpoint.errors import CutpointError
from cutpoint.evaluation.metrics import known_metric
from cutpoint.types import Circumstances, Limits, Record, Score

_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hours": 3600}


class Target(Record):
    """Good enough: stop as soon as the whole interval of the metric passes."""

    metric: str
    value: float

    @property
    def sign(self) -> str:
        """ ">=", or "<=" for errors and losses."""
        return _sign(self.metric)

    def is_met(self, score: Score) -> bool:
        """Whether the worse end of the interval is good enough."""
        return score.low >= self.value if self.sign == ">=" else score.high <= self.value


class Settings(Record):
    """Fixed choices of a race."""

    budget_seconds: float = 1200.0
    min_gain: float = 0.005
    """In units of the metric: 0.005 is half a point of accuracy."""
    target: Target | None = None
    seed: int = 0
    is_automatic: bool = True
    """Whether Cutpoint chose the regimes, or the user named them."""
    remedies: bool = True
    """Whether what the best fine-tune lacks is tried to be mended, where Cutpoint chose the regimes."""
    exhaustive: bool = False
    """Run every trial to its end, whatever it promises."""
    cut: int | str | None = None
    """Where regimes that say "cut" cut; None: where the every-layer probe proposes."""
    image_size: int | None = None
    max_length: int | None = None
    reference: str | None = None
    """The set on which it is measured what a trial forgets."""
    pack: bool = True
    """Whether training documents of a language model share rows."""
    validation_fraction: float = 0.2
    folds: int = 5
    repeats: int = 3
    """Repeats of cross-validation for regimes that train the head only; dearer ones run once."""
    cross_validate_below: int = 1000
    """Training rows below which validation is by cross-validation."""
    threads: int = 1
    device: str = "cpu"
    engine: EngineRequest = "auto"
    """What computes frozen features."""
    limits: Limits = Limits()
    """What a model must keep to be shipped at all."""
    circumstances: Circumstances = Circumstances()
    """What the user says of the project."""


def parse_budget(text: str | float) -> float:
    """Seconds from "90s", "20m", "20min", "2h", or a number of seconds.

    Raises:
        CutpointError: Neither.
    """
    if isinstance(text, (int, float)):
        seconds = float(text)
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
        if match is None or (match[2] and match[2] not in _UNITS):
            raise CutpointError(f"{text!r} is no length of time.", "Write it as 90s, 20m or 2h.")
        seconds = float(match[1]) * _UNITS.get(match[2] or "s", 1)
    if seconds <= 0:
        raise CutpointError("The budget must be longer than nothing.", "Write it as 90s, 20m or 2h.")
    return seconds


def parse_target(text: str | None, metric: str | None) -> Target | None:
    """A target such as "accuracy>=0.95"; "mae<=2" for a metric of which less is better.

    Args:
        text: As the user wrote it.
        metric: The task's; None where it is not known yet, and any may be named.

    Raises:
        CutpointError: It is not of that form, or names no metric, or another one than the task's.
    """
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\w+)\s*([<>]=)\s*(\d+\.?\d*|\.\d+)\s*", text)
    if match is None:
        example = metric or "accuracy"
        raise CutpointError(f"{text!r} is no target.", f"Write it as '{example}{_sign(example)}0.95'.")
    known_metric(match[1], None if metric is None else [metric])
    metric = metric or match[1]
    if match[1] != metric:
        raise CutpointError(
            f"The target names {match[1]!r}, but the race is judged by {metric!r}.",
            f"Use '{metric}{_sign(metric)}…', or choose the metric with --metric {match[1]}.",
        )
    if match[2] != _sign(metric):
        better = "less" if match[2] == ">=" else "more"
        raise CutpointError(
            f"Of {metric}, {better} is better.", f"Write the target as '{metric}{_sign(metric)}{match[3]}'."
        )
    return Target(metric=match[1], value=float(match[3]))


def _sign(metric: str) -> str:
    return ">=" if known_metric(metric).greater_is_better else "<="
