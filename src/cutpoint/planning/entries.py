"""Which backbones race, and which regimes on each: from what the user named to loaded entries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.signals import signal_backbone
from cutpoint.backbones.table import BUILTIN_NAMES
from cutpoint.backbones.tfidf import tfidf_backbone
from cutpoint.backbones.vectors import statistics_backbone, vector_backbone
from cutpoint.errors import BackboneError, RegimeError
from cutpoint.planning.plan import Entry
from cutpoint.regimes import Audience, Regime, resolve_regimes
from cutpoint.regimes.table import HAND_MADE
from cutpoint.types import WITHOUT_BACKBONE, Circumstances, Dataset, Limits, Modality, Readout, Task


def entries_for(
    dataset: Dataset,
    backbones: str | Backbone | Sequence[str | Backbone],
    regimes: Sequence[Regime],
    image_size: int | None,
    max_length: int | None,
    *,
    is_auto: bool,
) -> list[Entry]:
    """Backbones with what races on each; hand-made features join an automatic race as a cheap honest trial.

    Args:
        dataset: Labelled data.
        backbones: Names, folders or `Backbone`s.
        regimes: To race on each.
        image_size: Pixels in place of the backbone's own input size.
        max_length: Tokens in place of the backbone's own limit.
        is_auto: Whether the regimes were Cutpoint's choice.

    Raises:
        RegimeError: None of the regimes can run on plain features.
    """
    if dataset.modality in WITHOUT_BACKBONE:
        heads = [regime for regime in regimes if regime.is_head_only]
        if not heads:
            raise RegimeError(
                "These data have no backbone to train, and none of these regimes trains a head alone.",
                "Name linear-probe or mlp-head, or leave --regime out.",
            )
        return [Entry(numbers_of(dataset), heads)]
    on_networks = [regime for regime in regimes if regime.name not in HAND_MADE]
    loaded = named_backbones(backbones, dataset.modality, dataset.task, image_size, max_length)
    entries = [Entry(backbone, on_networks) for backbone in loaded] if on_networks else []
    if len(on_networks) < len(regimes) or (is_auto and hand_made_name(dataset.modality, dataset.task)):
        entries.append(hand_made(dataset))
    return entries


def named_backbones(
    backbones: str | Backbone | Sequence[str | Backbone],
    modality: Modality,
    task: Task,
    image_size: int | None,
    max_length: int | None,
) -> list[Backbone]:
    """What the user named, loaded for such data; what is loaded already stays as it is."""
    options: dict[str, Any] = {"image_size": image_size}
    if modality == "text":
        options = {"readout": readout_for(task), "max_length": max_length}
    return [load_backbone(each, modality=modality, **options) for each in each_of(backbones)]


def each_of(backbones: str | Backbone | Sequence[str | Backbone]) -> list[str | Backbone]:
    """One or several, as a list."""
    return [backbones] if isinstance(backbones, (str, Path, Backbone, nn.Module)) else list(backbones)


def hand_made_name(modality: Modality, task: Task) -> str | None:
    """What the trial on hand-made features is called for such data; None where there is none."""
    if task.kind in ("tagging", "language"):
        return None
    return {"text": "tf-idf", "image": "image-statistics"}.get(modality)


def check_hand_made(regimes: Sequence[Regime], modality: Modality, task: Task) -> None:
    """Raise a RegimeError where hand-made features are named that such data do not have."""
    own = hand_made_name(modality, task)
    for regime in regimes:
        if regime.name in HAND_MADE and regime.name != own:
            raise RegimeError(
                f"The regime {regime.name!r} is not for these data.",
                f"Name {own} in its place." if own else "Name linear-probe, or leave --regime out.",
            )


def check_places(backbones: str | Backbone | Sequence[str | Backbone], limits: Limits) -> None:
    """Raise a BackboneError where --local-only is said and a backbone would be fetched: before anything is."""
    if not limits.local_only:
        return
    for each in each_of(backbones):
        if isinstance(each, (str, Path)) and not Path(each).is_dir() and each not in BUILTIN_NAMES:
            raise BackboneError(
                f"The backbone {str(each)!r} is no folder of this machine, and only those are allowed.",
                f"Name a folder with --backbone, or {', '.join(BUILTIN_NAMES)}; or leave --local-only out.",
            )


def with_controls(
    regimes: Sequence[Regime], dataset: Dataset, circumstances: Circumstances
) -> tuple[Regime, ...]:
    """From scratch is always priced; adapters are where many tasks are to share a backbone."""
    if dataset.modality in WITHOUT_BACKBONE:
        return tuple(regimes)
    extra = ["scratch", *(["lora"] if circumstances.tasks > 1 else [])]
    known = {regime.name for regime in regimes}
    return (*regimes, *resolve_regimes([name for name in extra if name not in known]))


def is_automatic(regimes: str | Regime | Sequence[str | Regime]) -> bool:
    """Whether Cutpoint chooses the regimes."""
    named = [regimes] if isinstance(regimes, (str, Regime)) else regimes
    return any(entry in ("auto", "all") for entry in named)


def audience_of(dataset: Dataset) -> Audience:
    """Which automatic regimes suit the data."""
    if dataset.modality == "signal":
        return "features"
    return "language" if dataset.task.kind == "language" else dataset.modality


def readout_for(task: Task) -> Readout:
    """What a text backbone has to put out for a task."""
    return {"tagging": "words", "language": "language"}.get(task.kind, "pooled")  # type: ignore[return-value]


def numbers_of(dataset: Dataset) -> Backbone:
    """What stands in place of a backbone where none fits: rows of numbers as they are, or those of signals."""
    if dataset.signals is not None:
        return signal_backbone(dataset.signals)
    return vector_backbone(len(dataset.inputs[0]), dataset.columns)


def hand_made(dataset: Dataset) -> Entry:
    """A cheap honest trial without any pretrained network: statistics of images, or term weights of texts."""
    name = hand_made_name(dataset.modality, dataset.task)
    assert name is not None  # such data have one
    if dataset.modality == "text":
        seen = np.concatenate([rows for split, rows in dataset.splits.items() if split != "test"])
        backbone = tfidf_backbone([dataset.inputs[int(row)] for row in seen])
    else:
        backbone = statistics_backbone()
    return Entry(backbone, resolve_regimes(name))
