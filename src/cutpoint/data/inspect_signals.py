"""Inspection of sounds and series at load: each is read once, hashed, and set aside where it cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cutpoint.data.collected import Collected, few
from cutpoint.data.images import read_in_order, reason_of
from cutpoint.data.progress import Progress
from cutpoint.data.set_aside import check_share
from cutpoint.data.signal_numbers import SERIES_WIDTH, SOUND_WIDTH
from cutpoint.data.signals import read_signal
from cutpoint.errors import DataError
from cutpoint.types import Quarantined, SignalPreprocessing

_HINT = (
    "Give sounds as .wav files, and series as arrays (channels, values) of at least 16 values without gaps; images "
    "in memory are uint8."
)


def inspect_signals(
    collected: Collected, *, max_unreadable: float, on_progress: Progress | None = None
) -> tuple[Collected, tuple[str, ...], tuple[Quarantined, ...]]:
    """Read every signal once and set aside those that cannot be used.

    Returns:
        The usable rows with how they are to be read, their keys, and what was set aside.

    Raises:
        DataError: More than the share `max_unreadable` cannot be used, or all of them; series of different numbers of
            channels.
    """
    seen = _read_all(collected.inputs, on_progress)
    usable = [row for row, each in enumerate(seen) if not each.reason]
    quarantined = tuple(
        Quarantined(name=collected.names[row], reason=each.reason)
        for row, each in enumerate(seen)
        if each.reason
    )
    check_share(quarantined, len(seen), max_unreadable, "signal", _HINT)
    kept = [seen[row] for row in usable]
    rates = Counter(each.rate for each in kept if each.rate is not None)
    notes = (*collected.notes, *([_rates_in_words(rates)] if len(rates) > 1 else []))
    collected = replace(
        collected.take(usable) if quarantined else collected,
        signals=_preprocessing({each.channels for each in kept}, min(rates, default=None)),
        notes=notes,
    )
    return collected, tuple(each.key for each in kept), quarantined


@dataclass(frozen=True)
class _Seen:
    """What is kept of a signal once it was read; only the reason, where it cannot be used."""

    reason: str = ""
    key: str = ""
    rate: int | None = None
    channels: int = 1


def _read_all(inputs: Sequence[Any], on_progress: Progress | None) -> list[_Seen]:
    seen = []
    for done, each in enumerate(read_in_order(_look, inputs), start=1):
        seen.append(each)
        if on_progress is not None:
            on_progress(done, len(inputs))
    return seen


def _look(source: Any) -> _Seen:
    try:
        signal = read_signal(source)
    except (OSError, ValueError) as problem:
        return _Seen(reason_of(problem))
    return _Seen("", signal.key, signal.rate, len(signal.values))


def _preprocessing(channels: set[int], rate: int | None) -> SignalPreprocessing:
    if len(channels) > 1:
        raise DataError(
            f"the series have different numbers of channels: {few(sorted(channels))}.",
            "Give all of them the same channels, in the same order; (values,) is one channel.",
        )
    (count,) = channels
    return SignalPreprocessing(rate=rate, channels=count, width=SOUND_WIDTH if rate else count * SERIES_WIDTH)


def _rates_in_words(rates: Counter[int]) -> str:
    each = ", ".join(f"{number:,} at {rate:,} Hz" for rate, number in sorted(rates.items()))
    return (
        f"sounds have different sampling rates ({each}): nothing above {min(rates) // 2:,} Hz is looked at, so that "
        "they can be compared"
    )
