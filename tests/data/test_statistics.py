"""Hand-made statistics: fixed, blind to size, and of some use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cutpoint.data import load_dataset, open_image
from cutpoint.data.statistics import STATISTICS_WIDTH, image_statistics


def test_a_flat_image_is_its_colour() -> None:
    vector = image_statistics(Image.new("RGB", (30, 20), (255, 0, 128)))
    assert vector.shape == (STATISTICS_WIDTH,)
    assert vector.dtype == np.float32
    assert np.flatnonzero(vector[:48]).tolist() == [15, 16, 40]
    assert np.allclose(vector[48:51], [1.0, 0.0, 128 / 255])
    assert np.allclose(vector[51:265], 0.0, atol=1e-6)
    assert np.allclose(vector[265:], [0, 0, 0, 1], atol=1e-6)


def test_size_and_aspect_leave_no_trace() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::16] = 200
    image = Image.fromarray(stripes)
    larger = image.resize((256, 128), Image.Resampling.NEAREST)
    assert np.allclose(image_statistics(image), image_statistics(larger), atol=1e-6)


def test_edges_fall_into_their_orientation() -> None:
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    along = image_statistics(Image.fromarray(ramp))[121:265].reshape(16, 9)
    across = image_statistics(Image.fromarray(ramp.T.copy()))[121:265].reshape(16, 9)
    assert (along.argmax(axis=1) == 0).all()
    assert (across.argmax(axis=1) == 4).all()


def test_a_linear_head_on_real_cells_beats_the_largest_class(shared: Path) -> None:
    from sklearn.linear_model import RidgeClassifier

    data = load_dataset(shared / "data" / "vision" / "bccd3", per_class=50)
    matrix = np.stack([image_statistics(open_image(file)) for file in data.inputs])
    train, test = data.splits["train"], data.splits["test"]
    score = RidgeClassifier().fit(matrix[train], data.targets[train]).score(matrix[test], data.targets[test])
    assert score > 0.9
