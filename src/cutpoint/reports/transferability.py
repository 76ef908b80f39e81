"""Scores that foretell which backbone is best, beside what each backbone reached in the race."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cutpoint.reports import facts, format
from cutpoint.types import LayerProbe, Result, Trial

_Rows = Sequence[LayerProbe]


@dataclass(frozen=True)
class Candidate:
    """A backbone; `scores` in the order of `Foretold.name`, None where a score is missing."""

    backbone: str
    scores: tuple[float | None, ...]
    best: Trial | None
    """Its best finished trial."""


@dataclass(frozen=True)
class Foretold:
    """How well one score foretold the order of the backbones in the race."""

    name: str
    tau: float | None
    """Kendall's rank correlation with the race's best scores; None where it is not defined."""
    picked_best: bool | None


@dataclass(frozen=True)
class Transferability:
    """What the template shows."""

    candidates: tuple[Candidate, ...]
    scores: tuple[Foretold, ...]
    raced: int
    caution: str


def transferability(result: Result) -> Transferability | None:
    """The table; None unless several backbones were probed."""
    probed = {name: rows for name, rows in result.layer_probe.items() if rows}
    if len(probed) < 2:
        return None
    sign = format.direction(result.task.for_heads.metric)
    columns = _columns(sign)
    candidates = [
        Candidate(name, tuple(read(rows) for read in columns.values()), _best_trial(result, name))
        for name, rows in probed.items()
    ]
    order = format.direction(result.task.metric)
    raced = [(candidate, order * _height(candidate)) for candidate in candidates if candidate.best]
    candidates.sort(key=lambda candidate: -order * _height(candidate) if candidate.best else math.inf)
    return Transferability(
        candidates=tuple(candidates),
        scores=tuple(
            _foretold(name, number, raced, sign if name.startswith("probe") else 1)
            for number, name in enumerate(columns)
        ),
        raced=len(raced),
        caution=_caution(len(raced)),
    )


def _columns(sign: int) -> dict[str, Callable[[_Rows], float | None]]:
    """Name of a score → how it is read off the every-layer probe, at the last block and at the best."""
    return {
        "probe, last block": lambda rows: rows[-1].score,
        "probe, best block": lambda rows: sign * max(sign * row.score for row in rows),
        "LogME, last block": lambda rows: rows[-1].logme,
        "LogME, best block": lambda rows: _greatest(row.logme for row in rows),
        "H-score, last block": lambda rows: rows[-1].h_score,
        "H-score, best block": lambda rows: _greatest(row.h_score for row in rows),
    }


def _greatest(numbers: Iterable[float | None]) -> float | None:
    return max((number for number in numbers if number is not None), default=None)


def _best_trial(result: Result, backbone: str) -> Trial | None:
    """Of the trials that used the pretrained weights."""
    sign = format.direction(result.task.metric)
    trials = [
        (sign * trial.validation.value, trial)
        for trial in result.trials
        if trial.backbone == backbone
        and trial.validation
        and trial.status == "finished"
        and not facts.is_from_random_weights(trial)
    ]
    return max(trials, key=lambda pair: pair[0])[1] if trials else None


def _height(candidate: Candidate) -> float:
    assert candidate.best is not None and candidate.best.validation is not None
    return candidate.best.validation.value


def _foretold(name: str, number: int, raced: list[tuple[Candidate, float]], sign: int) -> Foretold:
    pairs = [
        (sign * score, height)
        for candidate, height in raced
        if (score := candidate.scores[number]) is not None
    ]
    if len(pairs) < 2 or len(pairs) < len(raced):
        return Foretold(name, None, None)
    foretold, reached = zip(*pairs, strict=True)
    best = max(range(len(pairs)), key=lambda index: foretold[index])
    return Foretold(name, _kendall(foretold, reached), reached[best] == max(reached))


def _kendall(one: Sequence[float], other: Sequence[float]) -> float | None:
    from scipy.stats import kendalltau  # slow to import, and only a race of several backbones needs it

    tau = float(kendalltau(one, other).statistic)
    return tau if math.isfinite(tau) else None


def _caution(raced: int) -> str:
    if raced < 2:
        return "Fewer than two backbones finished a trial, so nothing can be said of how well the scores foretell."
    if raced > 3:
        return f"{raced} backbones raced."
    chance = {2: "half", 3: "a third"}[raced]
    return (
        f"Only {raced} backbones raced: thin evidence, since by chance alone a score picks the best in {chance} of "
        "such races."
    )
