"""The table of backbones that `list backbones` shows and `auto` chooses from."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, TypeAdapter

from cutpoint.backbones.hub import is_cached, network_allowed
from cutpoint.errors import BackboneError
from cutpoint.types import Modality, Readout, Record

AUTO = "auto"
GLYPHS = "builtin:glyphs"
BUILTIN_NAMES = (GLYPHS,)


class KnownBackbone(Record):
    """A row of the table."""

    name: str
    kind: Literal["vision", "language", "audio"]
    causal: bool = False
    """Whether it predicts the next token: a language model, no encoder."""
    family: str
    parameters_million: float
    top1: float | None
    """ImageNet-1k accuracy in per cent, as published."""
    purpose: str = Field(alias="for")
    licence: str
    trained_on: str
    loads: str | None
    """What `load_backbone` takes; None where this version does not load it."""


@functools.cache
def known_backbones() -> tuple[KnownBackbone, ...]:
    """All rows, smallest first within each kind."""
    text = (resources.files("cutpoint.backbones") / "table.yaml").read_text(encoding="utf-8")
    return TypeAdapter(tuple[KnownBackbone, ...]).validate_python(yaml.safe_load(text))


def reachable(name: str) -> bool:
    """Whether a backbone can be loaded now: embedded, a folder, in the local cache, or downloadable."""
    if name in BUILTIN_NAMES or (Path(name) / "config.json").is_file():
        return True
    repository = _repository(name)
    return repository is not None and (is_cached(repository) or network_allowed())


def automatic_backbone(modality: Modality = "image", readout: Readout = "pooled") -> str:
    """The smallest reachable backbone of the table that fits the data.

    Args:
        modality: What the data are. For images builtin:glyphs where nothing trained on photographs is reachable.
        readout: What is needed of a model of texts: an encoder, or for "language" a causal language model.

    Raises:
        BackboneError: No model of texts can be reached; none is embedded.
    """
    wanted = ("vision" if modality == "image" else "language", readout == "language")
    for row in sorted(known_backbones(), key=lambda row: row.parameters_million):
        if (row.kind, row.causal) != wanted or row.loads in BUILTIN_NAMES:
            continue
        if row.loads and reachable(row.loads):
            return row.loads
    if modality == "image":
        return GLYPHS
    sought = "causal language model" if readout == "language" else "text encoder"
    raise BackboneError(
        f"No {sought} of the table is in the local cache, and none can be downloaded.",
        "name a folder that holds one: --backbone FOLDER, with config.json, model.safetensors and tokenizer.json",
    )


def _repository(name: str) -> str | None:
    """The hub repository behind a name."""
    if name.startswith("hf:"):
        return name.removeprefix("hf:")
    if name.startswith("builtin:"):
        return None
    from cutpoint.backbones.from_timm import known_to_timm, timm_repository

    return timm_repository(name) if known_to_timm(name) else None
