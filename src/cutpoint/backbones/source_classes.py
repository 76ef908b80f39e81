"""What is known of the classes that a backbone was pretrained on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

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


def stored_classifier(weights: Path, name: str, width: int) -> Callable[[Array], Array] | None:
    """The linear classifier of the pretraining that lies beside a backbone's weights, read when it is first asked.

    Args:
        weights: A safetensors file.
        name: The classifier's module path.
        width: Of the pooled features; a classifier on anything else is none for them.

    Returns:
        Pooled features (N, width) → logits (N, source classes); None where there is no such classifier.
    """
    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        if f"{name}.weight" not in file.keys():  # noqa: SIM118 - safe_open is no mapping
            return None
        if file.get_slice(f"{name}.weight").get_shape()[1:] != [width]:
            return None

    @cache
    def layer() -> tuple[Array, Array | float]:
        with safe_open(weights, framework="np") as file:
            has_bias = f"{name}.bias" in file.keys()  # noqa: SIM118
            bias: Array | float = file.get_tensor(f"{name}.bias") if has_bias else 0.0
            return file.get_tensor(f"{name}.weight"), bias

    def scores(features: Array) -> Array:
        weight, bias = layer()
        found: Array = features @ weight.T + bias
        return found

    return scores
