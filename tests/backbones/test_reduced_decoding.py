"""Large JPEGs are decoded smaller: the same picture within the stated tolerance, wherever it is prepared."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cutpoint.artifacts.contract import preprocessing_digest
from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.preprocessing import open_for, prepare
from cutpoint.backbones.vectors import statistics_backbone
from cutpoint.data import load_dataset
from cutpoint.errors import DataError
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.types import Decoding, ImagePreprocessing

MOST, MEAN = 5, 0.3
"""Of 255: what may differ, as stated."""


def _record(decoding: Decoding, size: int = 48, resize: int | tuple[int, int] = 54) -> ImagePreprocessing:
    return ImagePreprocessing(
        size=(size, size), resize=resize, decoding=decoding, mean=(0.5,) * 3, std=(0.5,) * 3, made_by="test"
    )


def _photo(width: int, height: int) -> Image.Image:
    """Blots of many sizes, none of them symmetric: what is shifted or turned shows."""
    random = np.random.default_rng(0)
    layers = [
        Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize((width, height))
        for cells in (5, 20, 60)
    ]
    return Image.fromarray(np.mean([np.asarray(layer) for layer in layers], axis=0).astype(np.uint8))


def _jpeg(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def _both(source: object, **options: int | tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The picture as prepared from a full and from a reduced decoding."""
    records = [_record(decoding, **options) for decoding in ("full", "reduced")]  # type: ignore[arg-type]
    full, small = (prepare(record, open_for(record, source)).astype(np.int64) for record in records)
    return full, small


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_photo_is_the_same_however_it_lies(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = _jpeg(_photo(803, 611), exif=exif)  # neither side is a multiple of what it is divided by
    full, small = _both(content)
    assert not np.array_equal(full, small)  # it was decoded smaller indeed
    assert np.abs(full - small).max() <= MOST
    assert np.abs(full - small).mean() <= MEAN


def test_squeezed_and_grey_photos_are_the_same() -> None:
    for content in (_jpeg(_photo(803, 611)), _jpeg(_photo(803, 611).convert("L"))):
        full, small = _both(content, resize=(48, 48))
        assert 0 < np.abs(full - small).max() <= MOST


@pytest.mark.parametrize("side", [54, 200, 323])
def test_a_photo_that_is_not_large_is_bit_equal(side: int) -> None:
    full, small = _both(_jpeg(_photo(side + 40, side)))
    assert np.array_equal(full, small)


def test_other_formats_and_pixels_in_memory_are_taken_in_full(tmp_path: Path) -> None:
    photo = _photo(803, 611)
    photo.save(tmp_path / "a.png")
    for source in (str(tmp_path / "a.png"), photo, np.asarray(photo)):
        full, small = _both(source)
        assert np.array_equal(full, small)


def test_an_image_that_the_user_opened_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(_jpeg(_photo(803, 611)))
    with Image.open(tmp_path / "a.jpg") as opened:
        open_for(_record("reduced"), opened)
        assert opened.size == (803, 611)


def test_a_truncated_large_photo_is_still_found(tmp_path: Path) -> None:
    content = _jpeg(_photo(803, 611))
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) * 9 // 10])
    with pytest.raises(DataError, match=r"cut\.jpg cannot be read as an image"):
        open_for(_record("reduced"), str(tmp_path / "cut.jpg"))
    with pytest.raises(DataError, match="cannot be read as an image"):
        statistics_backbone().inputs.prepare(str(tmp_path / "cut.jpg"))


def test_statistics_of_a_large_photo_move_little() -> None:
    content, backbone = _jpeg(_photo(1203, 905)), statistics_backbone()
    apart = backbone.inputs.prepare(content) - backbone.with_decoding("full").inputs.prepare(content)
    assert 0 < np.abs(apart).max() <= 0.1
    assert np.abs(apart).mean() <= 0.01


def test_a_record_of_full_decoding_is_written_as_before() -> None:
    record = _record("full")
    assert "decoding" not in json.loads(record.model_dump_json())
    assert preprocessing_digest(record) != preprocessing_digest(_record("reduced"))


def test_the_cache_keeps_the_decodings_apart(tmp_path: Path) -> None:
    for label, place in (("a", 0), ("b", 150)):
        for number in range(6):
            file = tmp_path / "data" / label / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_jpeg(_photo(700 + number, 500).rotate(place)))
    dataset = load_dataset(tmp_path / "data")
    rows, cache = dataset.splits["train"], ActivationCache(tmp_path / "cache")
    backbone = load_backbone("builtin:glyphs")
    pixels = []
    for each in (backbone, backbone.with_decoding("full")):
        bank = FeatureBank(each, dataset, rows, cache)
        assert bank.store_prepared()
        pixels.append(bank.prepared(np.arange(len(rows))))
    assert not torch.equal(*pixels)


def test_features_of_real_photos_stay_what_they_are(shared: Path) -> None:
    files = sorted((shared / "data/vision/clothing10/test").rglob("*.jpg"))[::90]
    backbone = load_backbone(str(shared / "weights/mobilenetv2_035_tm"), image_size=96)
    large = []
    for file in files:
        with Image.open(file) as photo:
            large.append(_jpeg(photo.convert("RGB").resize((8 * photo.width, 8 * photo.height))))
    small, full = (
        backbone.with_decoding(decoding).inputs.collate(
            [backbone.with_decoding(decoding).inputs.prepare(content) for content in large]
        )
        for decoding in ("reduced", "full")
    )
    apart = (small.int() - full.int()).abs()
    assert 0 < int(apart.max()) <= MOST
    assert float(apart.float().mean()) <= MEAN
    with torch.inference_mode():
        features = [backbone.module(backbone.inputs.to_network(batch)) for batch in (small, full)]
    assert float(torch.cosine_similarity(*features).min()) >= 0.999
