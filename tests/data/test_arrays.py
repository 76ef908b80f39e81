"""Data in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutpoint.data import content_hash, load_dataset, open_image
from cutpoint.errors import DataError


def test_features() -> None:
    features = np.random.default_rng(0).normal(size=(20, 3))
    data = load_dataset(features, targets=np.arange(20) % 2)
    assert data.modality == "features"
    assert isinstance(data.inputs, np.ndarray)
    assert np.array_equal(data.inputs, features)
    assert data.names[4] == "row 4"
    assert len(data.splits["test"]) == 4
    same = load_dataset(features.tolist(), targets=["0", "1"] * 10)
    assert content_hash(same) == content_hash(data)
    few = load_dataset(features, targets=np.arange(20) % 2, per_class=3)
    assert isinstance(few.inputs, np.ndarray)
    assert few.inputs.shape == (10, 3)
    row = int(few.names[7].split()[1])
    assert np.array_equal(few.inputs[7], features[row])


def test_no_test_split_where_none_is_wanted() -> None:
    data = load_dataset(np.eye(6), targets=[0, 1] * 3, test_fraction=0)
    assert len(data.splits["train"]) == 6
    assert len(data.splits["test"]) == 0


def test_images_paths_and_arrays(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = random.integers(0, 256, (10, 6, 5, 3), dtype=np.uint8)
    images = [Image.fromarray(array) for array in arrays]
    for number, image in enumerate(images):
        image.save(tmp_path / f"{number}.png")
    targets = ["a", "b"] * 5
    paths = [tmp_path / f"{number}.png" for number in range(10)]
    for source in (arrays, images, list(arrays), paths, np.array([str(path) for path in paths])):
        data = load_dataset(source, targets=targets)
        assert data.modality == "image"
        assert np.array_equal(np.asarray(open_image(data.inputs[3])), arrays[3])
    assert load_dataset(images, targets=targets).keys == load_dataset(arrays, targets=targets).keys
    grey = load_dataset(arrays[..., 0], targets=targets)
    assert open_image(grey.inputs[0]).size == (5, 6)
    assert load_dataset(paths, targets=targets).names[0] == str(paths[0])


def test_groups_in_memory() -> None:
    data = load_dataset(np.eye(12), targets=[0, 1] * 6, group=[n // 3 for n in range(12)], test_fraction=0.25)
    assert data.groups is not None
    assert set(data.groups[data.splits["train"]]).isdisjoint(data.groups[data.splits["test"]])
    with pytest.raises(DataError, match="12 inputs but 2 groups"):
        load_dataset(np.eye(12), targets=[0, 1] * 6, group=[1, 2])


def test_inputs_that_cannot_be_used() -> None:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="list is empty"):
        load_dataset([], targets=[])
    with pytest.raises(DataError, match="no targets"):
        load_dataset(np.eye(3))
    with pytest.raises(DataError, match="3 inputs but 2 targets"):
        load_dataset(np.eye(3), targets=[0, 1])
    with pytest.raises(DataError, match="NaN or infinity stands in row 1"):
        load_dataset([[1.0, 2.0], [np.nan, 1.0]], targets=[0, 1])
    with pytest.raises(DataError, match="neither images nor features"):
        load_dataset(np.zeros((4, 4, 4, 3)), targets=[0, 1, 0, 1])
    with pytest.raises(DataError, match="array of float64, not uint8"):
        load_dataset([image, image.astype(float)], targets=[0, 1])
    with pytest.raises(DataError, match="input 1 is int, which is no image"):
        load_dataset([image, 3], targets=[0, 1])
    with pytest.raises(DataError, match="form no array"):
        load_dataset([[1.0, 2.0], [1.0]], targets=[0, 1])
    with pytest.raises(DataError, match="several measured targets"):
        load_dataset(np.eye(4), targets=np.random.default_rng(0).normal(size=(4, 2)))
    with pytest.raises(DataError, match=r"targets have the shape \(\)"):
        load_dataset(np.eye(4), targets=3)
