"""Fingerprints of images and texts: cheap figures that say which are alike, and what is trivial about each."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray
from PIL import Image

from cutpoint.data.images import DRAFT_SIDE, Size, decode, is_lying, open_header, open_image, read_in_order
from cutpoint.data.inspect_texts import parts_of
from cutpoint.data.keys import row_key
from cutpoint.data.progress import Progress
from cutpoint.types import ImageFingerprints

_THUMBNAIL = 16
_RING = np.pad(np.zeros((_THUMBNAIL - 2, _THUMBNAIL - 2), dtype=bool), 1, constant_values=True)
_HASHED, _FREQUENCIES = 32, 8
_COSINES = np.cos(np.pi / (2 * _HASHED) * np.outer(np.arange(_FREQUENCIES), 2 * np.arange(_HASHED) + 1))
DETAIL = 64
"""Pixels a side of what is compared where fingerprints are alike."""

SHINGLE = 5
"""Characters of a shingle."""
PERMUTATIONS = 64
"""Values of a text's signature."""
_PARTS = "\x1f"
_BETWEEN = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class TextFingerprints:
    """What is cheap to know of N texts.

    Attributes:
        folded: Hash of each text without case, spaces, punctuation and typographic variants.
        signatures: uint32 (N, 64): two agree in the share of places in which their shingles agree (MinHash,
            Broder 1997).
        lengths: int64 (N,), characters.
    """

    folded: tuple[str, ...]
    signatures: NDArray[np.uint32]
    lengths: NDArray[np.int64]


class Glance(NamedTuple):
    """A picture's entry in `ImageFingerprints`."""

    hash: int
    grey: NDArray[np.uint8]
    size: Size
    file_bytes: int
    border: NDArray[np.float32]


class GlancedImages:
    """Fingerprints of N images, filled in as they are read.

    Args:
        count: N.
    """

    def __init__(self, count: int) -> None:
        self.found = ImageFingerprints(
            np.empty(count, dtype=np.uint64),
            np.empty((count, _THUMBNAIL, _THUMBNAIL), dtype=np.uint8),
            np.empty((count, 2), dtype=np.int64),
            np.empty(count, dtype=np.int64),
            np.empty((count, 3), dtype=np.float32),
            np.empty(count, dtype=np.float32),
        )

    def put(self, row: int, glance: Glance) -> None:
        """Take up one image."""
        found = self.found
        found.hashes[row] = glance.hash
        found.thumbnails[row], found.brightness[row] = glance.grey, glance.grey.mean()
        found.sizes[row], found.file_bytes[row] = glance.size, glance.file_bytes
        found.borders[row] = glance.border


def image_fingerprints(sources: Sequence[Any]) -> ImageFingerprints:
    """Fingerprints of images that can be read (see `open_image` for what a source may be).

    Args:
        sources: N paths, PIL images or arrays.
    """
    seen = GlancedImages(len(sources))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        for row, glance in enumerate(read_in_order(_glance, sources)):
            seen.put(row, glance)
    return seen.found


def _glance(source: Any) -> Glance:
    image, size = _small(source)
    return glance_at(image, size, Path(source).stat().st_size if isinstance(source, str | Path) else 0)


def _small(source: Any) -> tuple[Image.Image, Size]:
    """As of `decoded_small`, of a path or an image in memory."""
    if isinstance(source, str | Path):
        with open_header(Path(source)) as opened:
            return decoded_small(opened)
    image = open_image(source)
    return image, image.size


def glance_at(image: Image.Image, size: Size, file_bytes: int) -> Glance:
    """What is cheap to know of a picture that is decoded.

    Args:
        image: In RGB, perhaps decoded smaller.
        size: Its full size, upright.
        file_bytes: Of its file; 0 where it has none.
    """
    grey = image.convert("L")
    hashed = np.asarray(grey.resize((_HASHED, _HASHED), Image.Resampling.LANCZOS), dtype=np.float64)
    colours = np.asarray(image.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX), dtype=np.float32)
    thumbnail = np.asarray(grey.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX))
    return Glance(_perceptual_hash(hashed), thumbnail, size, file_bytes, colours[_RING].mean(axis=0))


def _perceptual_hash(grey: NDArray[np.float64]) -> int:
    """Which of the 8 × 8 lowest frequencies of 32 × 32 pixels are above their median (Zauner 2010).

    The bits are those of the library ImageHash, whose transform of all frequencies takes as long as the decoding.
    """
    lowest = (_COSINES @ grey @ _COSINES.T).ravel()
    middle = np.sort(lowest)[len(lowest) // 2 - 1 :][:2].mean()
    return int.from_bytes(np.packbits(lowest > middle).tobytes(), "big")


def decoded_small(opened: Image.Image) -> tuple[Image.Image, Size]:
    """An image whose header was read, in RGB, perhaps decoded smaller; and its full size, upright."""
    width, height = opened.size
    opened.draft(opened.mode, (DRAFT_SIDE, DRAFT_SIDE))
    image = decode(opened)
    # Asked before, a PNG would be decoded by the question, which swallows what is wrong with it.
    return image, (height, width) if is_lying(opened) else (width, height)


def text_fingerprints(texts: Sequence[Any], on_progress: Progress | None = None) -> TextFingerprints:
    """Fingerprints of texts, pairs, lists of words, chats or completions.

    Args:
        texts: N of them.
        on_progress: Called with (done, total).
    """
    from datasketch import MinHash

    folded: list[str] = []
    signatures = np.empty((len(texts), PERMUTATIONS), dtype=np.uint32)
    empty = MinHash(num_perm=PERMUTATIONS, hashfunc=int, seed=0)
    for row, text in enumerate(texts):
        letters = fold(text)
        folded.append(xxhash.xxh3_128_hexdigest(letters.encode("utf-8", "surrogatepass")))
        signature = empty.copy()
        signature.update_batch(_shingles(letters).tolist())
        signatures[row] = signature.hashvalues
        if on_progress is not None:
            on_progress(row + 1, len(texts))
    lengths = np.array([sum(map(len, parts_of(text))) for text in texts], dtype=np.int64)
    return TextFingerprints(tuple(folded), signatures, lengths)


def details(sources: Sequence[Any]) -> NDArray[np.uint8]:
    """Larger thumbnails, uint8 (N, 64, 64), grey: what tells images apart whose fingerprints are alike."""
    found = np.empty((len(sources), DETAIL, DETAIL), dtype=np.uint8)
    for row, detail in enumerate(read_in_order(_detail, sources)):
        found[row] = detail
    return found


def pixel_key(source: Any) -> str:
    """Hash of an image's upright pixels: equal where only the file's bytes differ."""
    return row_key(np.asarray(open_image(source)))


def fold(text: Any) -> str:
    """A text without what does not change what it says: case, spaces, punctuation, typographic variants.

    A part without a letter or a digit (":-)") stays as it is.
    """
    return _PARTS.join(_folded(part) for part in parts_of(text))


def shingles_of(text: Any) -> NDArray[np.uint32]:
    """Hashes of a text's distinct shingles (runs of 5 characters of the folded text), sorted."""
    return _shingles(fold(text))


def _detail(source: Any) -> NDArray[np.uint8]:
    image, _ = _small(source)
    return np.asarray(image.convert("L").resize((DETAIL, DETAIL), Image.Resampling.BILINEAR))


def _folded(part: str) -> str:
    letters = _BETWEEN.sub(" ", unicodedata.normalize("NFKC", part).casefold()).strip()
    return letters or part.strip()


def _shingles(letters: str) -> NDArray[np.uint32]:
    codes = np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if len(codes) < SHINGLE:
        codes = np.pad(codes, (0, SHINGLE - len(codes)))
    windows = np.lib.stride_tricks.sliding_window_view(codes, SHINGLE)
    # A polynomial modulo 2³²; MinHash mixes the bits further.
    weights = np.array([31**power for power in range(SHINGLE)], dtype=np.uint32) * np.uint32(2654435761)
    return np.unique((windows * weights).sum(axis=1, dtype=np.uint32))
