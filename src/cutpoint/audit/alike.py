"""Which examples are the same content, and which nearly: of images and of texts, each pair verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.correlation import correlations
from cutpoint.audit.pairs import NO_PAIRS, Pairs, Rows, families, near_hashes, near_signatures, same_keys
from cutpoint.data.fingerprints import (
    DETAIL,
    TextFingerprints,
    details,
    pixel_key,
    shingles_of,
)
from cutpoint.types import Dataset, ImageFingerprints

NEAR_PICTURE, SAME_PICTURE = 0.95, 0.995
"""Correlation of 64 × 64 grey pixels. A picture that was saved again as JPEG of quality 70, or at half its size, keeps
.995 in the median; different pictures of a set stay below .95, but for drawings."""
NEAR_TEXT, NEAR_SHORT_TEXT, SAME_TEXT = 0.8, 0.9, 0.95
"""Share of common shingles (Jaccard)."""
LONG_TEXT = 100
"""Shingles from which a text is long: of short ones, people write nearly the same independently."""
_NEAR_THUMBNAIL = 0.9
_SAVED_AGAIN = 12
"""Grey values by which a thumbnail may differ where nothing but the encoding does."""
_FLAT = 2.0
"""Deviation of grey values below which a picture shows nothing that could be compared."""
_CHUNK = 4_096


@dataclass(frozen=True)
class Alike:
    """What hangs together among N rows.

    Attributes:
        same: int64 (N,), number of each row's family: the same bytes, pixels or folded text.
        near: Pairs of different families that are verified to be nearly the same.
        twins: Those of them that only saving again, or a letter in a long text, can explain.
        how: What makes a family: "pixels", "letters and digits", "samples" or "numbers".
    """

    same: Rows
    near: Pairs
    twins: Pairs
    how: str

    @property
    def families(self) -> Rows:
        """int64 (N,): families of the same content, joined by twins; what belongs on one side of a split."""
        first = _firsts(self.same)
        left, right = np.concatenate([first[self.same], self.twins.left]), np.arange(len(self.same))
        return families(len(self.same), left, np.concatenate([right, self.twins.right]))


def alike_images(dataset: Dataset, prints: ImageFingerprints) -> Alike:
    """Same: equal bytes, or equal upright pixels. Near: perceptual hashes within 4 bits, then thumbnails of 16 × 16,
    then of 64 × 64 pixels that correlate.

    Args:
        dataset: N images.
        prints: Of the same N.
    """
    same_bytes = same_keys(dataset.keys)
    distinct = _firsts(families(len(dataset), *same_bytes))
    left, right = (distinct[side] for side in near_hashes(prints.hashes[distinct]))
    same_pixels = _same_pixels(dataset, prints, left, right)
    same = families(
        len(dataset), *(np.concatenate(sides) for sides in zip(same_bytes, same_pixels, strict=True))
    )
    near = _near_pictures(dataset, prints, same, left, right)
    twins = near.taken((near.likeness >= SAME_PICTURE) & (_largest_difference(prints, near) <= _SAVED_AGAIN))
    return Alike(same, near, twins, "pixels")


def alike_texts(dataset: Dataset, prints: TextFingerprints) -> Alike:
    """Same: equal but for case, spaces and punctuation. Near: candidates of MinHash, then the share of common
    shingles; of short texts a larger share.

    Args:
        dataset: N texts.
        prints: Of the same N.
    """
    same = families(len(dataset), *same_keys(prints.folded))
    distinct = _firsts(same)
    left, right = (distinct[side] for side in near_signatures(prints.signatures[distinct]))
    # The signature estimates the share with a deviation of 0.05 at most where it is .8: most candidates end here.
    likely = _agreement(prints.signatures, left, right) >= NEAR_TEXT - 0.2
    left, right = left[likely], right[likely]
    shingles = {int(row): shingles_of(dataset.inputs[row]) for row in np.unique([left, right])}
    shares = np.array(
        [_jaccard(shingles[int(a)], shingles[int(b)]) for a, b in zip(left, right, strict=True)]
    )
    shortest = np.array(
        [min(len(shingles[int(a)]), len(shingles[int(b)])) for a, b in zip(left, right, strict=True)]
    )
    is_long = shortest >= LONG_TEXT
    near = shares >= np.where(is_long, NEAR_TEXT, NEAR_SHORT_TEXT)
    pairs = Pairs(left, right, shares)
    return Alike(
        same,
        pairs.taken(near),
        pairs.taken(is_long & (shares >= SAME_TEXT)),
        "letters and digits",
    )


def alike_rows(dataset: Dataset) -> Alike:
    """Rows of numbers: the same where all numbers are."""
    return Alike(families(len(dataset), *same_keys(dataset.keys)), NO_PAIRS, NO_PAIRS, "numbers")


def alike_signals(dataset: Dataset) -> Alike:
    """Sounds and series: the same where all samples are, whatever stands in the headers of their files."""
    return Alike(families(len(dataset), *same_keys(dataset.keys)), NO_PAIRS, NO_PAIRS, "samples")


def _firsts(numbers: Rows) -> Rows:
    """The first row of each number, by number."""
    return np.unique(numbers, return_index=True)[1].astype(np.int64)


def _same_pixels(dataset: Dataset, prints: ImageFingerprints, left: Rows, right: Rows) -> tuple[Rows, Rows]:
    """Pairs whose upright pixels are equal; read in full only where size and thumbnail agree."""
    likely = (prints.sizes[left] == prints.sizes[right]).all(axis=1)
    likely &= _largest_difference(prints, Pairs(left, right, np.ones(len(left)))) <= _SAVED_AGAIN
    left, right = left[likely], right[likely]
    keys = {int(row): pixel_key(dataset.inputs[row]) for row in np.unique([left, right])}
    equal = np.array([keys[int(a)] == keys[int(b)] for a, b in zip(left, right, strict=True)], dtype=bool)
    return left[equal], right[equal]


def _near_pictures(dataset: Dataset, prints: ImageFingerprints, same: Rows, left: Rows, right: Rows) -> Pairs:
    small = prints.thumbnails.reshape(len(dataset), -1)
    kept = same[left] != same[right]
    left, right = left[kept], right[kept]
    kept = _are_textured(small, left) & _are_textured(small, right)
    left, right = left[kept], right[kept]
    kept = correlations(lambda rows: small[rows], left, right) >= _NEAR_THUMBNAIL
    left, right = left[kept], right[kept]
    likeness = np.concatenate(
        [np.zeros(0), *(_likeness(dataset, left[part], right[part]) for part in _parts(len(left), _CHUNK))]
    )
    kept = likeness >= NEAR_PICTURE
    return Pairs(left[kept], right[kept], likeness[kept])


def _likeness(dataset: Dataset, left: Rows, right: Rows) -> NDArray[np.float64]:
    """Correlation of the larger thumbnails, which are held for these pairs alone."""
    rows, place = np.unique([left, right], return_inverse=True)
    large = details([dataset.inputs[row] for row in rows]).reshape(len(rows), DETAIL**2)
    return correlations(lambda chosen: large[chosen], *place.reshape(2, -1))


def _are_textured(small: NDArray[np.uint8], rows: Rows) -> NDArray[np.bool_]:
    """Whether there is something to compare in these rows' thumbnails."""
    parts = [small[rows[part]].std(axis=1) >= _FLAT for part in _parts(len(rows), _CHUNK)]
    return np.concatenate([np.zeros(0, dtype=bool), *parts])


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _largest_difference(prints: ImageFingerprints, pairs: Pairs) -> NDArray[np.int64]:
    """Of the grey values of each pair's thumbnails: a small mark on an empty ground hardly moves a correlation."""
    small = prints.thumbnails.reshape(len(prints.thumbnails), -1)
    found = [np.zeros(0, dtype=np.int64)]
    for part in _parts(len(pairs.left), _CHUNK):
        first, second = (small[side[part]].astype(np.int16) for side in (pairs.left, pairs.right))
        found.append(np.abs(first - second).max(axis=1).astype(np.int64))
    return np.concatenate(found)


def _agreement(signatures: NDArray[np.uint32], left: Rows, right: Rows) -> NDArray[np.float64]:
    found = [np.zeros(0)]
    for part in _parts(len(left), _CHUNK):
        found.append((signatures[left[part]] == signatures[right[part]]).mean(axis=1))
    return np.concatenate(found)


def _jaccard(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> float:
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)
