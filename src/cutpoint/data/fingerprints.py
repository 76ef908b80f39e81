"""Fingerprints: one cheap pass over images or texts that says which are alike, and what is trivial about each."""

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

from cutpoint.data.images import DRAFT_SIDE, decode, is_lying, open_header, open_image, read_in_order
from cutpoint.data.inspect import Progress, row_key
from cutpoint.data.inspect_texts import parts_of

_THUMBNAIL = 16
DETAIL = 64
"""Pixels a side of what is compared where fingerprints are alike."""

SHINGLE = 5
"""Characters of a shingle."""
PERMUTATIONS = 64
"""Values of a text's signature."""
_PARTS = "\x1f"
_BETWEEN = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class ImageFingerprints:
    """What is cheap to know of N images.

    Attributes:
        hashes: uint64 (N,), perceptual: near images differ in few bits (of the discrete cosine transform,
            Zauner 2010).
        thumbnails: uint8 (N, 16, 16), grey.
        sizes: int64 (N, 2), width and height in pixels, upright.
        file_bytes: int64 (N,), 0 where an image is no file.
        borders: float32 (N, 3), mean red, green and blue of the outermost sixteenth, 0…255.
        brightness: float32 (N,), mean grey, 0…255.
    """

    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    file_bytes: NDArray[np.int64]
    borders: NDArray[np.float32]
    brightness: NDArray[np.float32]


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


def image_fingerprints(sources: Sequence[Any], on_progress: Progress | None = None) -> ImageFingerprints:
    """Fingerprints of images that can be read (see `open_image` for what a source may be).

    Args:
        sources: N paths, PIL images or arrays.
        on_progress: Called with (done, total).
    """
    count = len(sources)
    found = ImageFingerprints(
        np.empty(count, dtype=np.uint64),
        np.empty((count, _THUMBNAIL, _THUMBNAIL), dtype=np.uint8),
        np.empty((count, 2), dtype=np.int64),
        np.empty(count, dtype=np.int64),
        np.empty((count, 3), dtype=np.float32),
        np.empty(count, dtype=np.float32),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        for row, glance in enumerate(read_in_order(_glance, sources)):
            found.hashes[row] = glance.hash
            found.thumbnails[row], found.brightness[row] = glance.grey, glance.grey.mean()
            found.sizes[row], found.file_bytes[row] = glance.size, glance.file_bytes
            found.borders[row] = glance.border
            if on_progress is not None:
                on_progress(row + 1, count)
    return found


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


class _Glance(NamedTuple):
    hash: int
    grey: NDArray[np.uint8]
    size: tuple[int, int]
    file_bytes: int
    border: NDArray[np.float32]


def _glance(source: Any) -> _Glance:
    import imagehash

    image, size, file_bytes = _small(source)
    bits = imagehash.phash(image).hash.ravel()
    colours = np.asarray(image.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX), dtype=np.float32)
    ring = np.ones((_THUMBNAIL, _THUMBNAIL), dtype=bool)
    ring[1:-1, 1:-1] = False
    grey = image.convert("L").resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    packed = int.from_bytes(np.packbits(bits).tobytes(), "big")
    return _Glance(packed, np.asarray(grey), size, file_bytes, colours[ring].mean(axis=0))


def _small(source: Any) -> tuple[Image.Image, tuple[int, int], int]:
    """The image in RGB, perhaps decoded smaller; its full size upright; bytes of its file."""
    if not isinstance(source, str | Path):
        image = open_image(source)
        return image, image.size, 0
    with open_header(Path(source)) as opened:
        width, height = opened.size
        if is_lying(opened):
            width, height = height, width
        opened.draft(opened.mode, (DRAFT_SIDE, DRAFT_SIDE))
        return decode(opened), (width, height), Path(source).stat().st_size


def _detail(source: Any) -> NDArray[np.uint8]:
    image, _, _ = _small(source)
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
