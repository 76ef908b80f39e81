"""Distances between the data and what a network was trained on, from statistics that its weights carry."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cutpoint.backbones.order import inference
from cutpoint.features.bank import FeatureBank

ROWS = 64
"""Enough for means and variances over all places of a map."""
_BATCH = 32


def source_distances(bank: FeatureBank) -> dict[str, float]:
    """Distances by name; empty for a network that carries no statistics of its source.

    "batchnorm-frechet": the running means and variances of a BatchNorm layer describe what reached it in
    pretraining, and where the domain shifts they no longer do (Schneider et al. 2020, Nado et al. 2020). For each
    channel the Fréchet distance of the two normal distributions, as Heusel et al. (2017) take it of Inception
    features, in standard deviations of the source; the root of its mean over channels, then the mean over layers.
    0 where the data look like the source's to every layer. It says nothing of the labels, and nothing where the
    running statistics were estimated anew after pretraining.

    Args:
        bank: The backbone and rows of the data; the first `ROWS` in a fixed random order are read.
    """
    layers = [layer for layer in bank.backbone.module.modules() if _knows_its_source(layer)]
    if not layers:
        return {}
    positions = np.random.default_rng(0).permutation(len(bank.rows))[:ROWS]
    moments = [_Moments() for _ in layers]
    hooks = [
        layer.register_forward_pre_hook(partial(_note, seen))
        for layer, seen in zip(layers, moments, strict=True)
    ]
    try:
        with inference(bank.backbone.module):
            for start in range(0, len(positions), _BATCH):
                batch = bank.prepared(np.sort(positions[start : start + _BATCH]))
                bank.backbone.module(bank.to_network(batch))
    finally:
        for hook in hooks:
            hook.remove()
    distances = [_frechet(layer, seen) for layer, seen in zip(layers, moments, strict=True) if seen.values]
    return {"batchnorm-frechet": float(np.mean(distances))} if distances else {}


class _Moments:
    """Sums over rows and places of what reached a layer, by channel."""

    def __init__(self) -> None:
        self.values = 0
        self.sum: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, inputs: Tensor) -> None:
        rows = inputs.movedim(1, -1).flatten(0, -2)  # of images that lie channels-last no copy
        self.values += len(rows)
        self.sum = self.sum + rows.sum(0).double()
        self.squares = self.squares + rows.square().sum(0).double()


def _knows_its_source(layer: nn.Module) -> bool:
    return isinstance(layer, _BatchNorm) and layer.running_mean is not None


def _note(seen: _Moments, layer: nn.Module, inputs: Sequence[Any]) -> None:
    seen.add(inputs[0])


def _frechet(layer: Any, seen: _Moments) -> float:
    mean = torch.as_tensor(seen.sum) / seen.values
    deviation = (torch.as_tensor(seen.squares) / seen.values - mean.square()).clamp(min=0).sqrt()
    source = (layer.running_var.double() + layer.eps).sqrt()
    squares = ((mean - layer.running_mean.double()) / source).square() + (deviation / source - 1).square()
    return float(squares.mean().sqrt())
