"""Ratios between contenders: taken round by round, told as the median with the least and the greatest."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import binomtest

Record = dict[str, Any]
_LEVEL = 0.05


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing.

    Attributes:
        median: The middle one.
        low: The least.
        high: The greatest.
        count: How many.
    """

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one or more values."""
        return cls(statistics.median(values), min(values), max(values), len(values))


def of_contender(records: Sequence[Record], work: str, contender: str) -> list[Record]:
    """Finished runs of a contender, round by round."""
    found = [each for each in done(records, work) if each["contender"] == contender]
    return sorted(found, key=lambda each: each["repeat"])


def done(records: Sequence[Record], work: str) -> list[Record]:
    """Finished runs of a work."""
    return [each for each in records if each["work"] == work and "failed" not in each]


def ratio(above: Sequence[Record], below: Sequence[Record], phase: str = "model") -> Spread | None:
    """How many times as long one contender takes as another, over the rounds that both have finished.

    Args:
        above: Runs of the one.
        below: Runs of the other.
        phase: What of them is compared; see `benchmarks.peers.job.Track.seconds`.

    Returns:
        None where they share no round, or did not time that phase.
    """
    seconds = {each["repeat"]: each["seconds"].get(phase) for each in below}
    pairs = [(each["seconds"].get(phase), seconds.get(each["repeat"])) for each in above]
    quotients = [over / under for over, under in pairs if over and under]
    return Spread.of(quotients) if quotients else None


def peers(records: Sequence[Record], work: str) -> list[str]:
    """Peers that finished a work, the fastest in the median first."""
    runs = [each for each in done(records, work) if each["side"] == "peer"]
    return _by_speed(runs)


def floors(records: Sequence[Record], work: str) -> list[str]:
    """The same of floors."""
    return _by_speed([each for each in done(records, work) if each["side"] == "floor"])


def fastest_peer(records: Sequence[Record], work: str) -> Record | None:
    """The run of the fastest peer; None where no peer has finished."""
    runs = [each for each in done(records, work) if each["side"] == "peer"]
    return min(runs, key=lambda each: each["seconds"]["model"], default=None)


def _by_speed(runs: Sequence[Record]) -> list[str]:
    seconds: dict[str, list[float]] = {}
    for each in runs:
        seconds.setdefault(each["contender"], []).append(each["seconds"]["model"])
    return sorted(seconds, key=lambda name: statistics.median(seconds[name]))


def accuracy(runs: Sequence[Record]) -> float:
    """Median over rounds."""
    return statistics.median(each["accuracy"] for each in runs)


def is_worse(first: Record, second: Record) -> bool:
    """Whether an exact sign test over the test rows tells that the first answers fewer of them right."""
    pairs = list(zip(first["right"], second["right"], strict=True))
    wins, losses = pairs.count(("1", "0")), pairs.count(("0", "1"))
    return losses > wins and binomtest(losses, wins + losses).pvalue < _LEVEL


def accuracy_at(record: Record, seconds: float) -> float | None:
    """What the model of that moment reaches; None before the first one."""
    known = [point["accuracy"] for point in record["points"] if point["seconds"] <= seconds]
    return known[-1] if known else None
