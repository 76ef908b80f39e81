"""What is known of the classes that a backbone was pretrained on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"LABEL_\d+|\d+")
"""How transformers calls classes without a name."""
_IMAGENET = re.compile(r"image\s?net[-\s]?(1k|12k|21k|22k)", re.IGNORECASE)


def real_names(names: Mapping[Any, str] | None) -> tuple[str, ...]:
    """The names of a configuration's `id2label`; none where they only count the outputs."""
    found = tuple(str(name) for name in (names or {}).values())
    return () if any(_PLACEHOLDER.fullmatch(name) for name in found) else found


def imagenet_subsets(trained_on: str | None) -> tuple[str, ...]:
    """Subsets of ImageNet that a note on the training data names, as timm calls them: "imagenet-1k", …"""
    return tuple(f"imagenet-{size.lower()}" for size in _IMAGENET.findall(trained_on or ""))
