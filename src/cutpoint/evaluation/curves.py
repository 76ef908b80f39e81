"""What goes wrong in training, read off the curve of losses.

A check over several curves (folds) fires where at least half of them show the fault: one fold is luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.evaluation.findings import in_some_fits, warning
from cutpoint.types import EpochRecord, Finding

Array = NDArray[Any]
Curve = Sequence[EpochRecord]

SPIKE_RATIO = 1.5
"""A loss half as high again as it had been: noise between epochs stays far below."""
SPIKE_LEAST = 0.1
"""A tenth of a nat (of the targets' variance): what a ratio means near zero is noise."""
START_RATIO = 3.0
START_LEAST = 1.0
START_MOST = 3.0
"""A batch's loss thrice what the first batch had, but at least one and at most three nats (variances of the targets)
above it: batches of a sound fit differ by far less."""
RISE_RATIO = 1.1
"""Validation loss a tenth above where it started."""
RISING_STEPS = 0.7
"""Share of epochs in which validation loss rises, where it rises throughout."""
RISING_SLACK = 0.01
"""A validation loss that has risen stays up: what falls by less than a hundredth has not come down."""
SWING_RATIO = 0.15
"""Late changes of a seventh of the loss: a rate that has been annealed moves it by a few hundredths."""
LEAST_EPOCHS = 3
"""A shorter curve has no course."""
LEAST_TAIL = 4
"""Epochs needed to see a swing up, down and up again."""

_LOWER_RATE = (
    "Lower the rate tenfold, warm up longer, train the head first (LP-FT), or freeze the early blocks."
)
_FREEZE_FIRST = (
    "Freeze the backbone and train the head first (LP-FT, two stages), then the upper blocks at a tenth of its rate; "
    "lower the rate tenfold, and warm it up."
)
_CALM = "Freeze the early blocks again for the last epochs, use a smaller rate, or average the weights."
_GENTLER = (
    "Unfreeze gradually, lower the early rates, pull toward the pretrained weights (L2-SP), or freeze more."
)


def diagnose_curves(curves: Sequence[Curve]) -> list[Finding]:
    """Divergence, a rate too high, validation loss that only rises, late instability."""
    trained = [[record for record in curve if record.steps > 0] for curve in curves]
    trained = [curve for curve in trained if curve]
    findings = []
    for check in (_diverged, _rate_too_high, _only_rising, _late_instability):
        finding = _in_half_of(trained, check)
        if finding is not None:
            findings.append(finding)
    return findings


def _diverged(curve: Curve) -> Finding | None:
    for record in curve:
        if not all(math.isfinite(loss) for loss in (record.train_loss, record.validation_loss or 0.0)):
            evidence = f"the loss is not a number in epoch {record.epoch + 1}"
            return warning("diverged", "The fit diverged: the rate is too high.", evidence, _LOWER_RATE)
    return None


def _rate_too_high(curve: Curve) -> Finding | None:
    """A loss that jumps in the first third of a phase.

    Training losses are compared within a phase: the next one may augment or smooth, which lifts them. A
    validation loss is compared with all before it, and must come back after the jump: one that stays up while
    the training loss falls is overfitting, not a rate too high. A fit that ends up better on validation than it
    was before the jump has taken no lasting harm: that is told as information.
    """
    validation = _validation_losses(curve)
    start = 0
    for phase in sorted({record.phase for record in curve}):
        at_start = _jump_at_start(curve, start, validation)
        if at_start is not None:
            return at_start
        training = np.array([record.train_loss for record in curve if record.phase == phase])
        early = max(LEAST_EPOCHS, math.ceil(len(training) / 3))
        place = _spike(training[:early])
        if place is not None:
            found = _jump(training, place, curve[start].epoch, "training")
            return _milder(found) if _recovers(validation, start + place) else found
        if validation is not None:
            place = _spike(validation[: start + early])
            if place is not None and validation[place:].min() <= validation[place] / SPIKE_RATIO:
                found = _jump(validation, place, curve[0].epoch, "validation")
                return _milder(found) if _recovers(validation, place) else found
        start += len(training)
    return None


def _jump_at_start(curve: Curve, start: int, validation: Array | None) -> Finding | None:
    """A loss that jumps within the first epoch of a phase, as a random head's gradients make it in open blocks."""
    record = curve[start]
    first, worst = record.first_loss, record.worst_loss
    if first is None or worst is None:
        return None
    least = min(max((START_RATIO - 1) * first, START_LEAST), START_MOST)
    if worst < max(first + least, SPIKE_RATIO * first):
        return None
    text = "The loss jumps at the start: the rate is too high, or blocks train under a head that knows nothing yet."
    evidence = (
        f"training loss {first:.3g} in the first batch of epoch {record.epoch + 1}, up to {worst:.3g} in it"
    )
    if record.frozen_blocks == 0:
        evidence += "; no block was frozen"
    found = warning("rate-too-high", text, evidence, _FREEZE_FIRST)
    lowest = min(each.train_loss for each in curve[start:] if each.phase == record.phase)
    if validation is not None:
        lowest = min(lowest, float(validation[start:].min()))
    return _milder(found) if lowest < first else found


def _recovers(validation: Array | None, place: int) -> bool:
    """Whether the validation loss falls below all that it was before the epoch at `place`."""
    if validation is None or not 0 < place < len(validation):
        return False
    return bool(validation[place:].min() < validation[:place].min())


def _milder(found: Finding) -> Finding:
    text = "The rate is at its upper edge: the loss jumps in an early epoch and recovers."
    return found.model_copy(update={"severity": "info", "text": text})


def _jump(losses: Array, place: int, first_epoch: int, which: str) -> Finding:
    evidence = (
        f"{which} loss {losses[:place].min():.3g} before epoch {first_epoch + place + 1}, "
        f"{losses[place]:.3g} in it"
    )
    text = "The rate is too high: the loss jumps in the early epochs, which wrecks pretrained features."
    return warning("rate-too-high", text, evidence, _LOWER_RATE)


def _only_rising(curve: Curve) -> Finding | None:
    validation = _validation_losses(curve)
    if validation is None or len(curve) < LEAST_EPOCHS:
        return None
    rising = float(np.mean(np.diff(validation) > -RISING_SLACK * validation[:-1])) >= RISING_STEPS
    risen = validation[-1] >= RISE_RATIO * validation[0] and validation.argmin() == 0
    learned = curve[-1].train_loss < curve[0].train_loss / RISE_RATIO
    if not (rising and risen and learned):
        return None
    evidence = (
        f"validation loss {validation[0]:.3g} → {validation[-1]:.3g} while training loss "
        f"{curve[0].train_loss:.3g} → {curve[-1].train_loss:.3g}"
    )
    text = "Validation loss rises from the first epoch while training loss falls: the features get worse."
    return warning("validation-only-rises", text, evidence, _GENTLER)


def _late_instability(curve: Curve) -> Finding | None:
    validation = _validation_losses(curve)
    tail_length = max(LEAST_TAIL, len(curve) // 3)
    if validation is None or len(validation) < 2 * LEAST_TAIL:
        return None
    tail = validation[-tail_length:]
    changes = np.diff(tail)
    large = changes[np.abs(changes) >= max(SWING_RATIO * float(np.median(tail)), SPIKE_LEAST / 2)]
    if np.count_nonzero(np.diff(np.sign(large))) < 2:
        return None
    evidence = f"validation loss between {tail.min():.3g} and {tail.max():.3g} in the last {len(tail)} epochs"
    return warning("late-instability", "Validation loss swings in the last epochs.", evidence, _CALM)


def _in_half_of(curves: Sequence[Curve], check: Callable[[Curve], Finding | None]) -> Finding | None:
    found = [finding for finding in map(check, curves) if finding is not None]
    if not found or 2 * len(found) < len(curves):
        return None
    return in_some_fits(found[0], len(found), len(curves))


def _spike(losses: Array) -> int | None:
    """The first place that is far above the least loss before it."""
    for place in range(1, len(losses)):
        before = losses[:place].min()
        if losses[place] >= SPIKE_RATIO * before and losses[place] >= before + SPIKE_LEAST:
            return place
    return None


def _validation_losses(curve: Curve) -> Array | None:
    losses = [record.validation_loss for record in curve]
    return None if None in losses else np.array(losses, dtype=np.float64)
