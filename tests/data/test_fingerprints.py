"""Fingerprints: what does not change what is shown or said leaves them alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutpoint.audit import examine_content
from cutpoint.data import load_dataset
from cutpoint.data.fingerprints import (
    details,
    fold,
    image_fingerprints,
    pixel_key,
    shingles_of,
    text_fingerprints,
)
from cutpoint.types import Completion, TextPair, Words


@pytest.fixture
def field() -> Image.Image:
    coarse = np.random.default_rng(0).integers(30, 220, (8, 6, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((240, 320), Image.Resampling.BICUBIC)


def test_a_picture_keeps_its_fingerprint_in_any_file(tmp_path: Path, field: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side, to be turned by 90 degrees
    field.save(tmp_path / "a.png")
    field.save(tmp_path / "b.bmp")
    field.save(tmp_path / "c.jpg", quality=75)
    field.rotate(90, expand=True).save(tmp_path / "d.png", exif=exif)
    files = [str(tmp_path / name) for name in ("a.png", "b.bmp", "c.jpg", "d.png")]
    prints = image_fingerprints(files)
    assert len({pixel_key(file) for file in (files[0], files[1], files[3], field)}) == 1
    assert pixel_key(files[2]) != pixel_key(files[0])
    assert np.bitwise_count(prints.hashes ^ prints.hashes[0]).max() <= 2
    assert prints.sizes.tolist() == [[240, 320]] * 4
    assert prints.file_bytes.tolist() == [Path(file).stat().st_size for file in files]
    assert (
        np.ptp(prints.brightness) < 2
        and np.abs(prints.thumbnails[0].astype(int) - prints.thumbnails[2]).max() <= 4
    )
    assert details(files).shape == (4, 64, 64)
    other = image_fingerprints([Image.fromarray(255 - np.asarray(field))])
    assert np.bitwise_count(prints.hashes[0] ^ other.hashes[0]) > 32 and other.file_bytes[0] == 0


def test_borders_and_brightness(tmp_path: Path) -> None:
    framed = Image.new("RGB", (160, 80), (250, 0, 0))
    framed.paste((0, 0, 250), (20, 10, 140, 70))
    prints = image_fingerprints([framed, Image.new("L", (30, 30), 90)])
    assert np.abs(prints.borders - [[250, 0, 0], [90, 90, 90]]).max() < 1
    assert prints.brightness[1] == 90


def test_loading_takes_the_same_fingerprints_of_what_can_be_used(tmp_path: Path, field: Image.Image) -> None:
    for number in range(6):
        field.rotate(7 * number).save(tmp_path / f"{number}.jpg")
    (tmp_path / "2.jpg").write_bytes(b"no picture")
    files = [str(tmp_path / f"{number}.jpg") for number in range(6)]
    data = load_dataset(files, targets=["a", "b"] * 3, test_fraction=0, max_unreadable=0.5)
    assert data.fingerprints is not None and len(data.fingerprints.hashes) == 5
    for name, values in vars(image_fingerprints(data.inputs)).items():
        assert np.array_equal(getattr(data.fingerprints, name), values), name
    assert examine_content(data).dataset.fingerprints is None


def test_folding_keeps_letters_and_digits() -> None:
    assert fold("  The Cat,  sat!") == fold("the cat… SAT") == "the cat sat"
    assert fold("ﬁne ①") == fold("FINE 1") and fold("Straße") == fold("STRASSE")
    assert fold("cat 1") != fold("cat 2") and fold(":-)") != fold(":-(")
    assert fold(TextPair("a b", "c")) != fold(TextPair("a", "b c"))
    assert fold(Words(("Bonn", "!"))) != fold(Words(("Bonn", "?")))
    assert fold(Completion("Q:", "A")) == fold(Completion("q", "a "))


def test_signatures_estimate_the_share_of_common_shingles() -> None:
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("abcdefghij"), 6)) for _ in range(200)]
    text = " ".join(words[:60])
    changed = " ".join([*words[:50], *words[100:110]])
    prints = text_fingerprints([text, changed, text.upper(), "x"])
    first, second = shingles_of(text), shingles_of(changed)
    share = len(np.intersect1d(first, second)) / len(np.union1d(first, second))
    assert 0.5 < share < 0.9
    assert abs((prints.signatures[0] == prints.signatures[1]).mean() - share) < 0.2
    assert prints.folded[0] == prints.folded[2] and np.array_equal(prints.signatures[0], prints.signatures[2])
    assert prints.lengths.tolist() == [len(text), len(changed), len(text), 1]
    assert np.array_equal(text_fingerprints([text]).signatures[0], prints.signatures[0])


def test_perceptual_hashes_are_those_of_imagehash(field: Image.Image) -> None:
    imagehash = pytest.importorskip("imagehash")
    pictures = [field.rotate(11 * number).resize((40 + 17 * number, 90)) for number in range(12)]
    for picture, found in zip(pictures, image_fingerprints(pictures).hashes.tolist(), strict=True):
        assert f"{found:016x}" == str(imagehash.phash(picture.convert("RGB")))
