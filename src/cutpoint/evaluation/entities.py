"""Entities in tagged sentences: exact spans, counted as the CoNLL shared tasks count them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.errors import DataError
from cutpoint.types import IGNORED

Array = NDArray[Any]

_OUTSIDE = "O"
_NO_TYPE = -1


@dataclass(frozen=True)
class BioTags:
    """What each tag number says; the last place, which number -1 finds, is that of words without a tag.

    Attributes:
        types: (tags + 1,) number of the entity type, -1 outside of entities.
        begins: (tags + 1,) whether the tag is a B-.
    """

    types: NDArray[np.int64]
    begins: NDArray[np.bool_]


@dataclass(frozen=True)
class _Spans:
    """Entities of all sentences by place in the flattened (N, longest) words."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    types: NDArray[np.int64]


def bio_tags(labels: tuple[str, ...]) -> BioTags:
    """Read tag names of the BIO scheme: "O", "B-TYPE" and "I-TYPE".

    Raises:
        DataError: A tag of another form, as those of parts of speech.
    """
    wrong = [label for label in labels if label != _OUTSIDE and label[:2] not in ("B-", "I-")]
    if wrong:
        raise DataError(
            f"entity_f1 counts entities, and the tag {wrong[0]!r} is none of O, B-… and I-….",
            "Judge by token_accuracy, or write the tags in the BIO scheme.",
        )
    names = [None if label == _OUTSIDE else label[2:] for label in labels]
    numbers: dict[str | None, int] = {None: _NO_TYPE}
    for name in names:
        numbers.setdefault(name, len(numbers) - 1)
    return BioTags(
        types=np.array([*(numbers[name] for name in names), _NO_TYPE], dtype=np.int64),
        begins=np.array([*(label.startswith("B-") for label in labels), False], dtype=np.bool_),
    )


def entity_counts(targets: Array, predictions: Array, labels: tuple[str, ...]) -> Array:
    """Entities of each sentence: (N, 3) float64 of those found, those there, those predicted.

    An entity is found when first word, last word and type agree. As in conlleval (Tjong Kim Sang and De Meulder
    2003), an I- that follows O, another type, or the start of the sentence begins an entity.

    Args:
        targets: int64 (N, longest) tag numbers, `IGNORED` where nothing is to be predicted.
        predictions: float32 (N, places) predicted tag numbers; -1, where none was predicted, counts as O.
        labels: Names of the tags, in the BIO scheme.

    Raises:
        DataError: Tags of another scheme.
    """
    tags = bio_tags(labels)
    is_word, predictions = targets != IGNORED, over_words(predictions, targets)
    present = _spans(np.where(is_word, targets, -1), tags)
    predicted = _spans(np.where(is_word, predictions, -1).astype(np.int64), tags)
    place = np.full((2, targets.size), -1)
    place[:, present.starts] = present.ends, present.types
    hit = (place[:, predicted.starts] == (predicted.ends, predicted.types)).all(axis=0)
    rows, longest = targets.shape
    groups = (predicted.starts[hit], present.starts, predicted.starts)
    return np.stack([np.bincount(starts // longest, minlength=rows) for starts in groups], axis=1).astype(
        float
    )


def over_words(predictions: Array, targets: Array) -> Array:
    """Predictions (N, places) as wide as the targets (N, longest), with -1 where there is none.

    A network answers up to the longest sentence that it is given, or up to where it cuts sentences off.
    """
    longest = targets.shape[1]
    behind = max(longest - predictions.shape[1], 0)
    return np.pad(predictions[:, :longest], ((0, 0), (0, behind)), constant_values=-1)


def _spans(numbers: Array, tags: BioTags) -> _Spans:
    types = tags.types[numbers]
    inside = types != _NO_TYPE
    before = np.pad(types[:, :-1], ((0, 0), (1, 0)), constant_values=_NO_TYPE)
    starts = inside & (tags.begins[numbers] | (types != before))
    goes_on = np.pad((inside & ~starts)[:, 1:], ((0, 0), (0, 1)))
    return _Spans(np.flatnonzero(starts), np.flatnonzero(inside & ~goes_on), types[starts])
