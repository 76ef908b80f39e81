"""Images of every mode come out upright, opaque and with the right pixels."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutpoint.data import open_image
from cutpoint.data.images import read_in_order
from cutpoint.errors import DataError


def _pixel(image: Image.Image, x: int = 0, y: int = 0) -> tuple[int, ...]:
    return tuple(np.asarray(image)[y, x].tolist())


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        # Stored pixels are red, green over blue, white; the corner that is at the top left once upright.
        (1, (255, 0, 0)),
        (2, (0, 255, 0)),
        (3, (255, 255, 255)),
        (4, (0, 0, 255)),
        (5, (255, 0, 0)),
        (6, (0, 0, 255)),
        (7, (255, 255, 255)),
        (8, (0, 255, 0)),
    ],
)
def test_exif_orientation(tmp_path: Path, orientation: int, expected: tuple[int, int, int]) -> None:
    stored = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "turned.png"
    Image.fromarray(stored).save(file, exif=exif)
    assert _pixel(open_image(file)) == expected


def test_exif_turns_a_wide_photo_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 10), "red").save(tmp_path / "a.jpg", exif=exif)
    assert open_image(tmp_path / "a.jpg").size == (10, 30)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_leaves_the_pixels(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8), "red").save(file, exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert open_image(file).size == (8, 8)


def test_alpha_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(tmp_path / "half.png")
    Image.new("LA", (4, 4), (0, 0)).save(tmp_path / "grey.png")
    assert _pixel(open_image(tmp_path / "clear.png")) == (255, 255, 255)
    assert _pixel(open_image(tmp_path / "half.png")) == (127, 127, 127)
    assert _pixel(open_image(tmp_path / "grey.png")) == (255, 255, 255)


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    picture.save(tmp_path / "plain.gif")
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "clear.png", transparency=1)
    assert _pixel(open_image(tmp_path / "plain.gif")) == (10, 200, 30)
    assert _pixel(open_image(tmp_path / "plain.png")) == (10, 200, 30)
    assert _pixel(open_image(tmp_path / "clear.png")) == (255, 255, 255)


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.tif")
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    assert _pixel(open_image(tmp_path / "red.tif")) == (255, 0, 0)
    assert np.allclose(_pixel(open_image(tmp_path / "red.jpg")), (255, 0, 0), atol=4)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    file = tmp_path / f"deep.{suffix}"
    Image.fromarray(values).save(file)
    assert np.asarray(open_image(file, channels=1)).tolist() == [[0, 1, 128, 255]]


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bits_in_either_byte_order(tmp_path: Path, order: str) -> None:
    image = Image.fromarray(np.array([[0, 257, 32896, 65535]], dtype=order))
    assert np.asarray(open_image(image, channels=1)).tolist() == [[0, 1, 128, 255]]
    image.save(tmp_path / "deep.tif")
    assert np.asarray(open_image(tmp_path / "deep.tif", channels=1)).tolist() == [[0, 1, 128, 255]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], dtype=np.float32), [[0, 128, 255]]),
        (np.array([[0.0, 100.0, 255.0]], dtype=np.float32), [[0, 100, 255]]),
        (np.array([[-1.0, 0.0, 1.0]], dtype=np.float32), [[0, 128, 255]]),
        (np.array([[np.nan, 0.0, 1.0]], dtype=np.float32), [[0, 0, 255]]),
        (np.array([[0, 257, 65535]], dtype=np.int32), [[0, 1, 255]]),
        (np.array([[0, 1_000_000, 2_000_000]], dtype=np.int32), [[0, 128, 255]]),
        (np.array([[7, 7, 7]], dtype=np.int32) - 20, [[0, 0, 0]]),
    ],
)
def test_reals_and_wide_integers(tmp_path: Path, values: np.ndarray, expected: list[list[int]]) -> None:
    file = tmp_path / "wide.tif"
    Image.fromarray(values).save(file)
    assert np.asarray(open_image(file, channels=1)).tolist() == expected


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_in_memory(mode: str, channels: int) -> None:
    opened = open_image(Image.new(mode, (5, 3)), channels)
    assert opened.mode == ("L" if channels == 1 else "RGB")
    assert opened.size == (5, 3)


def test_arrays() -> None:
    grey = np.full((3, 5), 77, dtype=np.uint8)
    assert _pixel(open_image(grey)) == (77, 77, 77)
    assert _pixel(open_image(grey[:, :, None])) == (77, 77, 77)
    assert open_image(np.zeros((3, 5, 3), dtype=np.uint8)).size == (5, 3)
    assert _pixel(open_image(np.zeros((3, 5, 4), dtype=np.uint8))) == (255, 255, 255)
    with pytest.raises(DataError, match="float64, not uint8"):
        open_image(np.zeros((3, 5, 3)))
    with pytest.raises(DataError, match="shape"):
        open_image(np.zeros((3, 5, 2), dtype=np.uint8))


def test_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert _pixel(open_image(tmp_path / "a.gif")) == (255, 0, 0)


def test_a_jpeg_behind_another_ending_opens(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.PNG")
    assert open_image(tmp_path / "a.PNG").mode == "RGB"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((200, 200), 80).save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"cut\.jpg cannot be read.*truncated"):
        open_image(cut)
    with pytest.raises(DataError, match=r"gone\.jpg cannot be read.*does not exist"):
        open_image(tmp_path / "gone.jpg")
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(DataError, match=r"text\.jpg.*not an image"):
        open_image(tmp_path / "text.jpg")
    with pytest.raises(DataError, match="1 or 3 channels"):
        open_image(whole, channels=2)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bomb.png"
    Image.new("L", (101, 100)).save(file)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with (
        warnings.catch_warnings(),
        pytest.raises(DataError, match=r"bomb\.png.*too large to be safe.*101 × 100"),
    ):
        warnings.simplefilter("error")  # Pillow's own, with a path into its files, is kept from the user
        open_image(file)


def test_answers_come_in_order_and_few_are_asked_for_ahead() -> None:
    asked: list[int] = []

    def slow(number: int) -> int:
        time.sleep(0.002 if number % 7 == 0 else 0)
        return number

    def sources() -> Iterator[int]:
        for number in range(500):
            asked.append(number)
            yield number

    answers = read_in_order(slow, sources())
    assert next(answers) == 0 and len(asked) < 100
    assert list(answers) == list(range(1, 500))
