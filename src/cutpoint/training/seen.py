"""What the training pictures of a fit look like, for the model to remember."""

from __future__ import annotations

import numpy as np

from cutpoint.evaluation.likeness import look, seen_images
from cutpoint.training.state import FitData
from cutpoint.types import SeenImages

_MOST = 512
_AT_ONCE = 64


def seen_by(data: FitData) -> SeenImages | None:
    """Figures of a fixed sample of the training pictures as prepared; None where inputs are no pictures."""
    if data.bank.backbone.preprocessing.kind != "image" or not len(data.train):
        return None
    rows = np.sort(np.random.default_rng(0).permutation(data.train)[:_MOST])
    parts = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    return seen_images([look(picture) for part in parts for picture in data.bank.prepared(part).numpy()])
