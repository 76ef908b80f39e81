"""The table of backbones that `list backbones` shows and `auto` chooses from."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, TypeAdapter

from cutpoint.backbones.hub import is_cached, network_allowed
from cutpoint.types import Record

AUTO = "auto"
GLYPHS = "builtin:glyphs"
BUILTIN_NAMES = (GLYPHS,)


class KnownBackbone(Record):
    """A row of the table."""

    name: str
    kind: Literal["vision", "language", "audio"]
    family: str
    parameters_million: float
    top1: float | None
    """ImageNet-1k accuracy in per cent, as published."""
    purpose: str = Field(alias="for")
    licence: str
    trained_on: str
    loads: str | None
    """What `load_backbone` takes; None for a kind of data that this version does not train on."""


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


def automatic_backbone() -> str:
    """The smallest reachable backbone of the table that was trained on photographs, else builtin:glyphs."""
    for row in sorted(known_backbones(), key=lambda row: row.parameters_million):
        if row.kind == "vision" and row.loads and row.loads not in BUILTIN_NAMES and reachable(row.loads):
            return row.loads
    return GLYPHS


def _repository(name: str) -> str | None:
    """The hub repository behind a name."""
    if name.startswith("hf:"):
        return name.removeprefix("hf:")
    if name.startswith("builtin:"):
        return None
    from cutpoint.backbones.from_timm import known_to_timm, timm_repository

    return timm_repository(name) if known_to_timm(name) else None
