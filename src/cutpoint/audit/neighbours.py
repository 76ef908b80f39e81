"""Near duplicates that hashes miss, as neighbours in a backbone's features: crops, new exposures, paraphrases.

How near is too near depends on the set: photographs of clothes are far apart, red blood cells all look alike. So two
rows are a pair only where they are alike at all and much nearer to each other than their surroundings let expect.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.exhibits import exhibit
from cutpoint.audit.pairs import NO_PAIRS, Pairs, Rows, pairs_in_buckets
from cutpoint.heads.chunks import Chosen, Features
from cutpoint.types import Dataset, Exhibit, Finding

Vectors = NDArray[np.float32]

ACROSS, WITHIN = "feature-neighbours-across-splits", "feature-neighbours"

LEAST_SIMILARITY = 0.9
"""Cosine of centred features below which no two rows are called near duplicates."""
FALSE_ALARMS = 0.5
"""Pairs that chance may give in a whole set, by the estimate of `_surprise`."""
EXACT_UP_TO = 8_000
"""Rows up to which each is compared with each; of more, those that share a hash."""
FEWEST = 40
"""Rows below which there are no surroundings to speak of."""

_NEIGHBOURS = 20
_SURROUNDINGS = 4_000
"""Rows at most that stand for the surroundings of all."""
_SAMPLED_FOR_DIMENSION = 500
_NEAREST_LEFT_OUT = 5
_BLOCK = 1_024
_LOOKED_AROUND = 256
"""Rows whose cosines with all surroundings are held at once."""
_PAIRS = 65_536
"""Pairs that are looked at together: of a set whose rows are all alike there are millions."""
_BANDS = 48
_SHOWN = 6


def near_pairs(features: Features, seed: int = 0) -> Pairs:
    """Pairs of rows that are nearer to each other than the set's density explains, by falling cosine.

    In a space of dimension m, of the R rows within a distance r of a row the nearest lies within d with probability
    1 - (1 - (d / r)^m)^R. The dimension m is estimated from the distances to the nearest rows (after Levina & Bickel
    2004), around each row and of the whole set. A pair is kept where its probability around both rows, times the
    number of rows, stays below `FALSE_ALARMS`.

    Up to `EXACT_UP_TO` rows all pairs are looked at; of more, those that agree in all bits of one of 48
    random-hyperplane hashes (Charikar 2002), which a pair of cosine .95 does with a probability above .99 among
    100 000 rows, and one of .9 above .9: the cost grows with N log N.

    Args:
        features: (N, D), rows of different content: equal content is for hashes to find. All are read.
        seed: Draws hyperplanes and sample.

    Returns:
        Pairs with the cosine of the centred features as likeness; none of fewer rows than `FEWEST`.
    """
    if len(features) < FEWEST:
        return NO_PAIRS
    vectors = _directions(features)
    left, right = _alike(vectors, np.random.default_rng(seed))
    if len(left) == 0:
        return NO_PAIRS
    likeness = _cosines(vectors, left, right)
    kept = _surprise(vectors, left, right, likeness, seed) * len(vectors) < FALSE_ALARMS
    order = np.lexsort((right[kept], left[kept], -likeness[kept]))
    return Pairs(left[kept][order], right[kept][order], likeness[kept][order].astype(np.float64))


def neighbour_findings(
    dataset: Dataset, rows: Rows, features: Features, seed: int = 0
) -> tuple[Finding, ...]:
    """Near pairs across splits as a warning, those within a split as an information.

    Args:
        dataset: The data.
        rows: (N,) the rows whose features are given.
        features: (N, D).
        seed: As in `near_pairs`.
    """
    _, first = np.unique([dataset.keys[row] for row in rows], return_index=True)
    kept = np.sort(first)
    pairs = near_pairs(Chosen(features, kept), seed)
    own = rows[kept]
    found = Pairs(own[pairs.left], own[pairs.right], pairs.likeness)
    split_of = dataset.split_names()
    across = split_of[found.left] != split_of[found.right]
    return (
        *_finding(dataset, found.taken(across), is_across=True),
        *_finding(dataset, found.taken(~across), is_across=False),
    )


def _finding(dataset: Dataset, pairs: Pairs, *, is_across: bool) -> tuple[Finding, ...]:
    if len(pairs.left) == 0:
        return ()
    where = "stand in different splits" if is_across else "stand within one split"
    return (
        Finding(
            code=ACROSS if is_across else WITHIN,
            severity="warning" if is_across else "info",
            text=f"{len(pairs.left)} pairs of examples {where} and are nearer to each other in the backbone's features "
            "than this set's density explains: perhaps near duplicates.",
            evidence=f"Cosine of the centred features {pairs.likeness.min():.3f} to {pairs.likeness.max():.3f}. "
            "Likeness in features is no proof: look at them.",
            remedy="If they show the same thing, name what they have in common with --group, so that it stands on one "
            "side of every split." + (" A score on such a test split flatters." if is_across else ""),
            exhibits=tuple(
                shown
                for left, right, likeness in list(zip(pairs.left, pairs.right, pairs.likeness, strict=True))[
                    :_SHOWN
                ]
                for shown in _both(dataset, int(left), int(right), float(likeness))
            ),
        ),
    )


def _both(dataset: Dataset, left: int, right: int, likeness: float) -> tuple[Exhibit, Exhibit]:
    split_of = dataset.split_names()
    return (
        exhibit(dataset, left, f"{split_of[left]}; {likeness:.3f} like {dataset.names[right]}"),
        exhibit(dataset, right, f"{split_of[right]}; {likeness:.3f} like {dataset.names[left]}"),
    )


def _directions(features: Features) -> Vectors:
    """Centred rows of length 1; what all rows have in common would make all alike."""
    # Rows are asked for by number, which copies them: they are changed where they are.
    centred: Vectors = features[np.arange(len(features))].astype(np.float32, copy=False)
    centred -= centred.mean(axis=0, dtype=np.float64).astype(np.float32)
    for start in range(0, len(centred), _BLOCK):  # in place: of many rows a copy is dear
        part = centred[start : start + _BLOCK]
        part /= np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12)
    return centred


def _alike(vectors: Vectors, random: np.random.Generator) -> tuple[Rows, Rows]:
    if len(vectors) <= EXACT_UP_TO:
        return _all_alike(vectors)

    def accept(left: Rows, right: Rows) -> NDArray[np.bool_]:
        return _cosines(vectors, left, right) >= LEAST_SIMILARITY

    return pairs_in_buckets(_hashes(vectors, random), accept)


def _all_alike(vectors: Vectors) -> tuple[Rows, Rows]:
    found = []
    for start in range(0, len(vectors), _BLOCK):
        cosines = vectors[start : start + _BLOCK] @ vectors[start:].T
        left, right = np.nonzero(cosines >= LEAST_SIMILARITY)
        above = left < right
        found.append(np.stack([left[above], right[above]]) + start)
    left, right = np.concatenate(found, axis=1)
    return left, right


def _hashes(vectors: Vectors, random: np.random.Generator) -> Iterator[NDArray[np.uint64]]:
    """A table of hashes a band: on which side of some random hyperplanes each row lies.

    With log2 N bits, unlike rows share a bucket with about one other.
    """
    bits = int(np.ceil(np.log2(len(vectors))))
    weights = np.uint64(1) << np.arange(bits, dtype=np.uint64)
    for _ in range(_BANDS):
        planes = random.standard_normal((vectors.shape[1], bits)).astype(np.float32)
        yield ((vectors @ planes) > 0).astype(np.uint64) @ weights


def _cosines(vectors: Vectors, left: Rows, right: Rows) -> NDArray[np.float32]:
    parts = (
        np.einsum("nd,nd->n", vectors[left[start : start + _BLOCK]], vectors[right[start : start + _BLOCK]])
        for start in range(0, len(left), _BLOCK)
    )
    return np.concatenate([np.zeros(0, dtype=np.float32), *parts])


def _surprise(
    vectors: Vectors, left: Rows, right: Rows, likeness: NDArray[np.float32], seed: int
) -> NDArray[np.float64]:
    """Probability that chance brings two rows of each pair so near; around the row where it is likelier."""
    is_in_pair = np.zeros(len(vectors), dtype=bool)
    is_in_pair[left] = is_in_pair[right] = True
    place = np.cumsum(is_in_pair) - 1
    distances, within = _surroundings(vectors, np.flatnonzero(is_in_pair), seed)
    some = np.random.default_rng(seed).permutation(len(vectors))[:_SAMPLED_FOR_DIMENSION]
    usual = np.median(_dimensions(_surroundings(vectors, np.sort(some), seed)[0]))
    # A row's own estimate follows its surroundings but is noisy; that of the set is neither.
    dimension = np.sqrt(usual * _dimensions(distances))
    reach = distances[:, -1]

    def chance(rows: Rows, cosines: NDArray[np.float32]) -> NDArray[np.float64]:
        own, distance = place[rows], np.sqrt(np.maximum(2 - 2 * cosines.astype(np.float64), 0))
        share = np.clip(distance / reach[own], 0, 1) ** dimension[own]
        return np.asarray(-np.expm1(within * np.log1p(-np.minimum(share, 1 - 1e-12))))

    parts = [slice(start, start + _PAIRS) for start in range(0, len(left), _PAIRS)]
    return np.concatenate(
        [np.maximum(*(chance(side[part], likeness[part]) for side in (left, right))) for part in parts]
    )


def _dimensions(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Dimension around each row (R,), from the distances (R, k) to its nearest rows without the very nearest.

    Those may be the duplicates that are looked for. Maximum likelihood: m · i · log(r_(i+1) / r_i) is exponential with
    mean 1 (Rényi 1953).
    """
    count = distances.shape[1]
    nearest = min(_NEAREST_LEFT_OUT, count // 2)
    growth = np.log(distances[:, nearest:] / distances[:, nearest - 1 : -1])
    total = (np.arange(nearest, count) * growth).sum(axis=1)
    return np.asarray((count - nearest) / np.maximum(total, 1e-6))


def _surroundings(vectors: Vectors, rows: Rows, seed: int) -> tuple[NDArray[np.float64], float]:
    """Distances of rows to their nearest ones in a sample, (R, k) rising, and how many of all lie within the last."""
    sample = np.arange(len(vectors))
    if len(sample) > _SURROUNDINGS:
        sample = np.sort(np.random.default_rng(seed).choice(sample, _SURROUNDINGS, replace=False))
    count = min(_NEIGHBOURS, len(sample) // 4)
    found = []
    for start in range(0, len(rows), _LOOKED_AROUND):
        own = rows[start : start + _LOOKED_AROUND]
        cosines = vectors[own] @ vectors[sample].T
        cosines[sample[None, :] == own[:, None]] = -1
        nearest = -np.sort(-np.partition(cosines, -count, axis=1)[:, -count:], axis=1)
        found.append(np.sqrt(np.maximum(2 - 2 * nearest.astype(np.float64), 1e-9)))
    return np.concatenate(found), (count - 1) * len(vectors) / len(sample)
