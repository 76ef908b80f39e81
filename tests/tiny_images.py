"""Small pictures whose classes differ by the direction of their stripes: easy for a network, in grey as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw_stripes(folder: Path, per_class: int, seed: int = 0) -> Path:
    """folder/{flat,slanted,upright}/*.png, 32 × 32, with noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:32, 0:32]
    directions = {"flat": rows, "slanted": rows + columns, "upright": columns}
    for name, ramp in directions.items():
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            wave = np.sin(ramp / rng.uniform(1.2, 2.5) + rng.uniform(0, 6))
            picture = 128 + 30 * wave + rng.normal(0, 100, wave.shape)
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder
