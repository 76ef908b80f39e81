"""The preprocessing that a folder of weights declares, for peers and floors alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from .job import Job


def facts(job: Job) -> dict[str, Any]:
    """What the folder declares."""
    found: dict[str, Any] = json.loads((Path(job.weights) / "config.json").read_text(encoding="utf-8"))
    return found


def transform(job: Job) -> Callable[[Image.Image], Tensor]:
    """Timm's own for judging, at the job's size."""
    from timm.data import create_transform

    declared = facts(job)
    made: Callable[[Image.Image], Tensor] = create_transform(
        (3, job.image_size, job.image_size),
        is_training=False,
        mean=declared["mean"],
        std=declared["std"],
        interpolation=declared["interpolation"],
        crop_pct=declared["crop_pct"],
    )
    return made
