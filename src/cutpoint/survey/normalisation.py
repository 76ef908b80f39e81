"""Is the stated normalisation of pictures the one that a network was trained with? Its first BatchNorm layer knows.

The layer's running statistics are those of its inputs in pretraining. Pictures that are normalised as then come near to
them; raw 0…255, or another mean and deviation, do not, and another convention does. Where the domain is distant every
convention is off alike, and nothing is said.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cutpoint.backbones.inputs import to_layout
from cutpoint.backbones.order import inference
from cutpoint.backbones.preprocessing import normalise
from cutpoint.features.bank import FeatureBank
from cutpoint.types import Finding, ImagePreprocessing

OFF = 0.5
"""Distance from which the stated normalisation is doubted: photos in their own one lie near .15."""
BETTER = 3.0
"""So many times nearer another convention must come."""
_PICTURES = 48
_CONVENTIONS = {
    "−1…1 (mean .5, deviation .5)": (0.5, 0.5),
    "standardised (mean near .45, deviation near .225)": (0.45, 0.225),
    "0…1 (mean 0, deviation 1)": (0.0, 1.0),
    "raw 0…255": (0.0, 1 / 255),
}
_SMALL = 1e-3
"""Channels whose variance is less than this share of the median are dead."""


class _SeenError(Exception):
    """Ends a forward pass at the first BatchNorm layer."""


def normalisation_finding(bank: FeatureBank) -> Finding | None:
    """A warning where another usual normalisation fits the network far better than the stated one.

    None also for networks that do not begin with BatchNorm, whose weights are silent on this.
    """
    stated = bank.backbone.preprocessing
    layer = _first_layer(bank.backbone.module)
    if not isinstance(stated, ImagePreprocessing) or layer is None or not len(bank.rows):
        return None
    places = np.unique(np.linspace(0, len(bank.rows) - 1, _PICTURES).astype(np.int64))
    pictures = bank.prepared(places)
    own = _distance(bank.backbone.module, layer, stated, pictures)
    others = {
        name: _distance(bank.backbone.module, layer, _with(stated, *numbers), pictures)
        for name, numbers in _CONVENTIONS.items()
    }
    best = min(others, key=lambda name: others[name])
    if own < OFF or own < BETTER * others[best]:
        return None
    return Finding(
        code="preprocessing-mismatch",
        severity="warning",
        text=f"The stated normalisation of {bank.backbone.name} is not the one that its weights were trained with.",
        evidence=f"pictures normalised by mean {_shown(stated.mean)} and deviation {_shown(stated.std)} lie {own:.2g} "
        f"from the statistics of its first BatchNorm layer, those in {best} {others[best]:.2g}",
        remedy="State the normalisation that shipped with the weights: mean and std in the backbone's config.json, or "
        "in its preprocessing where it was built in Python.",
    )


def _first_layer(module: nn.Module) -> _BatchNorm | None:
    first = next((layer for layer in module.modules() if isinstance(layer, _BatchNorm)), None)
    return None if first is None or first.running_mean is None else first


def _with(stated: ImagePreprocessing, mean: float, deviation: float) -> ImagePreprocessing:
    channels = stated.channels
    return stated.model_copy(update={"mean": (mean,) * channels, "std": (deviation,) * channels})


def _distance(
    module: nn.Module, layer: _BatchNorm, preprocessing: ImagePreprocessing, pictures: Tensor
) -> float:
    """Median over channels of the shift of the mean, in deviations, plus that of the log ratio of deviations."""
    inputs = _inputs_of(module, layer, to_layout(normalise(preprocessing, pictures)))
    assert layer.running_mean is not None and layer.running_var is not None
    values = inputs.transpose(0, 1).flatten(1).double()
    mean, variance = layer.running_mean.double(), layer.running_var.double()
    alive = variance > _SMALL * variance.median()
    shift = (values.mean(1) - mean).abs() / (variance + layer.eps).sqrt()
    ratio = 0.5 * torch.log((values.var(1) + layer.eps) / (variance + layer.eps)).abs()
    return float(shift[alive].median() + ratio[alive].median())


def _inputs_of(module: nn.Module, layer: nn.Module, batch: Tensor) -> Tensor:
    seen: list[Tensor] = []

    def stop(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen.append(arguments[0])
        raise _SeenError

    hook = layer.register_forward_pre_hook(stop)
    try:
        with inference(module):
            module(batch.to(next(module.parameters()).device))
    except _SeenError:
        pass
    finally:
        hook.remove()
    return seen[0]


def _shown(numbers: tuple[float, ...]) -> str:
    return "/".join(f"{number:.3g}" for number in numbers)
