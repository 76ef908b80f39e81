"""Random views of prepared images, each drawn from its own seed so that a resumed run sees the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cutpoint.backbones.torchvision_repair import import_torchvision

_SMALLEST_AREA = 0.6
_RANDAUGMENT = {"num_ops": 2, "magnitude": 7}


def augment(images: Tensor, kind: str, seed: int, epoch: int, rows: Sequence[int]) -> Tensor:
    """A random view of each image.

    Args:
        images: uint8 (B, channels, height, width), as `prepare_input` makes them.
        kind: "crop" (a random part, 60–100 % of the area) · "flip" (that and a mirror image half of the time) ·
            "randaugment" (both and RandAugment, Cubuk et al. 2020).
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
            torch.manual_seed(int(np.random.SeedSequence((seed, epoch, int(row))).generate_state(1)[0]))
            views.append(transform(image))
    return torch.stack(views)


def mix(images: Tensor, targets: Tensor, kind: str, classes: int) -> tuple[Tensor, Tensor]:
    """Mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019) of a batch, from torch's global random state.

    Args:
        images: float32 (B, channels, height, width).
        targets: int64 (B,) class numbers.
        kind: "mixup" or "cutmix".
        classes: Number of classes.

    Returns:
        Mixed images, and class probabilities (B, classes).
    """
    v2 = _v2()
    mixer = v2.MixUp(alpha=0.2, num_classes=classes) if kind == "mixup" else v2.CutMix(num_classes=classes)
    mixed, probabilities = mixer(images, targets)
    return mixed, probabilities


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
