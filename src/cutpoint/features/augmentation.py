"""Random views of prepared images, each drawn from its own seed so that a resumed run sees the same ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import RegimeError
from cutpoint.features.seeding import reseed

_SMALLEST_AREA = 0.6
_RANDAUGMENT = {"num_ops": 2, "magnitude": 7}
_MIXUP_ALPHA, _CUTMIX_ALPHA = 0.2, 1.0


def augment(images: Tensor, kind: str, seed: int, epoch: int, rows: Sequence[int]) -> Tensor:
    """A random view of each image.

    Args:
        images: uint8 (B, channels, height, width), as `prepare_input` makes them.
        kind: "crop" (a random part, 60–100 % of the area) · "flip" (that and a mirror image half of the
            time) · "randaugment" (both and RandAugment, Cubuk et al. 2020).
        seed: The trial's seed.
        epoch: Epoch or view number.
        rows: Row number of each image: with seed and epoch it decides the view, whatever the batch.

    Returns:
        uint8 of the same shape.
    """
    if kind == "none":
        return images
    transform = _transform(kind, int(images.shape[-2]), int(images.shape[-1]))
    views = []
    with torch.random.fork_rng(devices=[]):
        for image, row in zip(images, rows, strict=True):
            reseed(seed, epoch, int(row))
            views.append(transform(image))
    return torch.stack(views)


def mix(inputs: Tensor, targets: Tensor, kind: str, classes: int) -> tuple[Tensor, Tensor]:
    """Mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019) of a batch, from torch's global random state.

    Each example is mixed with its neighbour in the batch; one share for the whole batch.

    Args:
        inputs: float32, batch first: (B, channels, height, width) for CutMix, anything for mixup.
        targets: int64 (B,) class numbers.
        kind: "mixup" or "cutmix".
        classes: Number of classes.

    Returns:
        Mixed inputs, and class probabilities (B, classes).

    Raises:
        RegimeError: CutMix of what is no image.
    """
    probabilities = torch.nn.functional.one_hot(targets, classes).to(inputs.dtype)
    alpha = _MIXUP_ALPHA if kind == "mixup" else _CUTMIX_ALPHA
    own = float(torch.distributions.Beta(torch.tensor(alpha), torch.tensor(alpha)).sample())
    partner = inputs.roll(1, 0)
    if kind == "mixup":
        mixed = own * inputs + (1 - own) * partner
    else:
        mixed, own = _paste(inputs, partner, own)
    return mixed, own * probabilities + (1 - own) * probabilities.roll(1, 0)


def _paste(inputs: Tensor, partner: Tensor, own: float) -> tuple[Tensor, float]:
    """A box of the partner in each image; returns the share that is still the image's own."""
    if inputs.ndim != 4:
        raise RegimeError("CutMix needs images or maps to cut from.", "Use `mix: mixup` at this cut.")
    height, width = inputs.shape[-2:]
    middle = [int(torch.randint(size, ())) for size in (height, width)]
    half = [0.5 * math.sqrt(1 - own) * size for size in (height, width)]
    top, left = (max(round(m - h), 0) for m, h in zip(middle, half, strict=True))
    bottom, right = (min(round(m + h), s) for m, h, s in zip(middle, half, (height, width), strict=True))
    mixed = inputs.clone()
    mixed[..., top:bottom, left:right] = partner[..., top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


@cache
def _transform(kind: str, height: int, width: int) -> Any:
    v2 = _v2()
    steps = [v2.RandomResizedCrop((height, width), scale=(_SMALLEST_AREA, 1.0), antialias=True)]
    if kind in ("flip", "randaugment"):
        steps.append(v2.RandomHorizontalFlip())
    if kind == "randaugment":
        steps.append(v2.RandAugment(**_RANDAUGMENT))
    return v2.Compose(steps)


def _v2() -> Any:
    import_torchvision()
    from torchvision.transforms import v2

    return v2
