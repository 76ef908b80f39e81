"""What to try next, given what went wrong: the remedies that a race can carry out by itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cutpoint.race.trained import is_head_only
from cutpoint.types import Modality, Trial


@dataclass(frozen=True)
class Remedy:
    """A regime that mends what a finding names.

    Attributes:
        regime: A row of the regimes' table.
        reason: Why it may help, as the end of "it is tried because …".
        raise_cut: Whether it is to be cut higher than the trial was, so that more stays frozen; False: lower; None:
            the cut stays open.
        modalities: For what inputs it means anything.
    """

    regime: str
    reason: str
    raise_cut: bool | None = None
    modalities: tuple[Modality, ...] = ("image", "text")


_OVERFITTING = (
    Remedy(
        "full-strong-augmentation", "augmentation and averaged weights hold variance down", None, ("image",)
    ),
    Remedy("full-l2sp", "a pull toward the pretrained weights holds variance down (Li et al. 2018)"),
    Remedy("partial", "with more blocks frozen there is less to overfit with", True),
)
_TOO_HIGH = (
    Remedy("full-layer-decay", "early blocks get lower rates and keep their features (Howard & Ruder 2018)"),
    Remedy("full", "the head is solved first, so that a random one wrecks no features (Kumar et al. 2022)"),
    Remedy("gradual-unfreezing", "one block at a time spares the early ones the first large gradients"),
)
_REMEDIES: dict[str, tuple[Remedy, ...]] = {
    "diverged": _TOO_HIGH,
    "rate-too-high": _TOO_HIGH,
    "overfitting": _OVERFITTING,
    "validation-only-rises": (
        Remedy(
            "gradual-unfreezing", "the features got worse from the first epoch: blocks open one at a time"
        ),
        *_OVERFITTING[1:],
    ),
    "negative-transfer": (
        Remedy("gradual-unfreezing", "pretrained features mislead: they are changed gently, from the top"),
        Remedy("full-l2sp", "the pull toward the pretrained weights replaces a hard freeze"),
        Remedy("scratch", "random weights may beat misleading ones"),
    ),
    "errors-follow-source": (
        Remedy("gradual-unfreezing", "the upper blocks hold the source's classes and are retrained first"),
        Remedy("full-l2sp", "the pull toward the pretrained weights replaces a hard freeze"),
    ),
    "late-instability": (
        Remedy("full-refreeze", "the lowest blocks are frozen again where validation swings"),
        Remedy("full-layer-decay", "early blocks get lower rates"),
    ),
    "batchnorm-drift": (Remedy("full", "BatchNorm keeps the pretrained statistics"),),
    "features-drifted": (
        Remedy("full-l2sp", "the pull toward the pretrained weights keeps features near"),
        Remedy("lora", "low-rank updates forget less"),
    ),
    "underfitting": (
        Remedy("partial", "with more blocks trained there is more to learn with", False),
        Remedy("full", "every block trains"),
        Remedy("mlp-head", "a hidden layer separates what a linear one cannot"),
    ),
}
"""Code of a finding → remedies, the most promising first; the gravest fault stands first."""

_OF_TRAINED_BLOCKS = {"overfitting", "validation-only-rises"}
"""What is mended by training less of the backbone: where it is frozen whole, more labels help alone."""


def remedies(trial: Trial, modality: Modality, tried: Collection[str] = ()) -> tuple[Remedy, ...]:
    """Regimes to try after a trial with such findings, in order, each once.

    Of several findings the gravest decides the order: a fit that diverged has shown nothing of its variance yet.

    Args:
        trial: A finished trial; only its warnings count.
        modality: What the inputs are.
        tried: Regimes that have run on this backbone already; a remedy that moves the cut is proposed all the same.
    """
    codes = {finding.code for finding in trial.findings if finding.severity != "info"}
    if is_head_only(trial):
        codes -= _OF_TRAINED_BLOCKS
    found: dict[str, Remedy] = {}
    for code, listed in _REMEDIES.items():
        for remedy in listed if code in codes else ():
            is_new = remedy.raise_cut is not None or remedy.regime not in {*tried, trial.regime}
            if is_new and modality in remedy.modalities and _has_room(remedy, trial):
                found.setdefault(remedy.regime, remedy)
    return tuple(found.values())


def _has_room(remedy: Remedy, trial: Trial) -> bool:
    """Whether the cut can move: a lower one needs frozen blocks."""
    return remedy.raise_cut is not False or trial.cut is None or trial.cut > 0
