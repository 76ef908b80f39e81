"""Which backbones race, and which regimes on each: from what the user named to loaded entries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.table import BUILTIN_NAMES
from cutpoint.backbones.tfidf import tfidf_backbone
from cutpoint.backbones.vectors import statistics_backbone, vector_backbone
from cutpoint.errors import BackboneError, RegimeError
from cutpoint.planning.plan import Entry
from cutpoint.regimes import Audience, Regime, resolve_regimes
from cutpoint.types import Circumstances, Dataset, Limits, Readout, Task


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
    if dataset.modality == "features":
        heads = [regime for regime in regimes if regime.is_head_only]
        if not heads:
            raise RegimeError(
                "Plain features have no backbone to train, and none of these regimes trains a head alone.",
                "Name linear-probe or mlp-head, or leave --regime out.",
            )
        width = dataset.inputs.shape[1]  # type: ignore[union-attr]
        return [Entry(vector_backbone(width, dataset.columns), heads)]
    named = [backbones] if isinstance(backbones, (str, Path, Backbone, nn.Module)) else list(backbones)
    options: dict[str, Any] = {"image_size": image_size}
    if dataset.modality == "text":
        options = {"readout": readout_for(dataset.task), "max_length": max_length}
    entries = [Entry(load_backbone(each, modality=dataset.modality, **options), regimes) for each in named]
    if is_auto and dataset.task.kind not in ("tagging", "language"):
        entries.append(hand_made(dataset))
    return entries


def check_places(backbones: str | Backbone | Sequence[str | Backbone], limits: Limits) -> None:
    """Raise a BackboneError where --local-only is said and a backbone would be fetched: before anything is."""
    if not limits.local_only:
        return
    named = [backbones] if isinstance(backbones, (str, Path, Backbone, nn.Module)) else backbones
    for each in named:
        if isinstance(each, (str, Path)) and not Path(each).is_dir() and each not in BUILTIN_NAMES:
            raise BackboneError(
                f"The backbone {str(each)!r} is no folder of this machine, and only those are allowed.",
                f"Name a folder with --backbone, or {', '.join(BUILTIN_NAMES)}; or leave --local-only out.",
            )


def with_controls(
    regimes: Sequence[Regime], dataset: Dataset, circumstances: Circumstances
) -> tuple[Regime, ...]:
    """From scratch is always priced; adapters are where many tasks are to share a backbone."""
    if dataset.modality == "features":
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
    return "language" if dataset.task.kind == "language" else dataset.modality


def readout_for(task: Task) -> Readout:
    """What a text backbone has to put out for a task."""
    return {"tagging": "words", "language": "language"}.get(task.kind, "pooled")  # type: ignore[return-value]


def hand_made(dataset: Dataset) -> Entry:
    """A cheap honest trial without any pretrained network: statistics of images, or term weights of texts."""
    (probe,) = resolve_regimes("linear-probe")
    if dataset.modality == "text":
        name, summary = (
            "tf-idf",
            "A linear layer on the weights of words and pairs of words; no pretrained network.",
        )
        seen = np.concatenate([rows for split, rows in dataset.splits.items() if split != "test"])
        backbone = tfidf_backbone([dataset.inputs[int(row)] for row in seen])
    else:
        name, summary = (
            "image-statistics",
            "A linear layer on hand-made statistics of the image; no pretrained network.",
        )
        backbone = statistics_backbone()
    return Entry(backbone, [probe.model_copy(update={"name": name, "summary": summary})])
