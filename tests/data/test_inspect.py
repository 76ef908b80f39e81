"""Inspection accepts exactly what can be opened later, and keys follow content alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutpoint.data import load_dataset, open_image
from cutpoint.data.keys import row_key
from cutpoint.errors import DataError


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "PPM"])
def test_what_inspection_accepts_opens_and_the_rest_does_not(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(7)
    coarse = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((240, 180)).save(buffer, kind)
    whole = buffer.getvalue()
    files = []
    for number in range(40):
        content = bytearray(whole)
        if number % 4 == 1:
            content = content[: random.integers(1, len(content))]
        elif number % 4 in (2, 3):
            # Half of the faults strike the header, half fall anywhere.
            reach = 300 if number % 4 == 2 else len(content)
            for place in random.integers(0, reach, 4):
                content[place] = random.integers(0, 256)
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(bytes(content))
    data = load_dataset(files, targets=["a", "b", "b", "a", "b"] * 8, max_unreadable=0.9, test_fraction=0)
    assert len(data) >= 10
    assert len(data.quarantined) >= 5
    for name in data.names:
        open_image(name)
    for item in data.quarantined:
        with pytest.raises(DataError):
            open_image(item.name)


def test_keys_follow_the_content(tmp_path: Path) -> None:
    arrays = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    files = [tmp_path / f"{number}.png" for number in range(4)]
    for file, array in zip(files, arrays, strict=True):
        Image.fromarray(array).save(file)
    (tmp_path / "copy.png").write_bytes(files[1].read_bytes())
    data = load_dataset([*files, tmp_path / "copy.png"], targets=["a", "b", "a", "b", "b"], test_fraction=0)
    assert data.keys[4] == data.keys[1]
    assert len(set(data.keys)) == 4


def test_keys_of_arrays_tell_shape_and_type() -> None:
    zeros = np.zeros((2, 3), dtype=np.uint8)
    assert row_key(zeros) == row_key(zeros.copy(order="F"))
    assert len({row_key(zeros), row_key(zeros.T), row_key(zeros.astype(np.int8)), row_key(zeros + 1)}) == 4
