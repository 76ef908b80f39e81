"""Packing: several short documents share one row of tokens, so that training wastes nothing on padding.

Each document keeps positions of its own and attends to itself alone (by its segment number), so that a packed row is
worth exactly what its documents are worth apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from cutpoint.backbones.from_transformers.tokenizer import TextInputs
from cutpoint.backbones.tokens import MARKS, NO_MARK, SEGMENTS
from cutpoint.types import Dataset


def pack(dataset: Dataset, inputs: TextInputs) -> Dataset:
    """The data with the rows of the training split packed; what is judged stays as it is.

    Plain texts that are longer than the limit become several documents; chats are cut off. Pieces from which nothing
    is learned, such as a last token alone, are left out. Documents of one group, or
    of none, share a row; first fit, in decreasing length (Johnson 1973).

    Args:
        dataset: For language modelling.
        inputs: The backbone's; rows are filled up to its limit.
    """
    limit = inputs.preprocessing.max_length
    pieces: list[tuple[int, NDArray[np.int32]]] = []
    for row in dataset.splits["train"].tolist():
        whole = dataset.inputs[row]
        tokens = inputs.whole(whole) if isinstance(whole, str) else inputs.prepare(whole)
        parts = (tokens[:, start : start + limit] for start in range(0, tokens.shape[1], limit))
        pieces += [(row, part) for part in parts if (part[MARKS, 1:] > 0).any()]
    bins = _bins(pieces, limit, dataset.groups)
    others = [rows for name, rows in dataset.splits.items() if name != "train"]
    kept = np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *others]))
    place = {int(row): number for number, row in enumerate(kept, start=len(bins))}
    splits = {
        name: np.array([place[int(row)] for row in rows], dtype=np.int64)
        for name, rows in dataset.splits.items()
        if name != "train"
    }
    note = f"{len(dataset.splits['train']):,} training documents were packed into {len(bins):,} rows of {limit} tokens"
    groups = None
    if dataset.groups is not None:
        groups = np.concatenate([[dataset.groups[each[0][0]] for each in bins], dataset.groups[kept]])
    return replace(
        dataset,
        inputs=[_joined(each) for each in bins] + [dataset.inputs[row] for row in kept],
        targets=np.zeros(len(bins) + len(kept), dtype=np.int64),
        splits={"train": np.arange(len(bins)), **splits},
        keys=tuple(_key(dataset, each) for each in bins) + tuple(dataset.keys[row] for row in kept),
        names=tuple(_name(dataset, each) for each in bins) + tuple(dataset.names[row] for row in kept),
        groups=groups,
        notes=(*dataset.notes, note),
    )


_Piece = tuple[int, NDArray[np.int32]]


def _bins(pieces: Sequence[_Piece], limit: int, groups: NDArray[Any] | None) -> list[list[_Piece]]:
    """Rows of pieces that fit together; of those with room the fullest row of the piece's group comes first."""
    bins: list[list[_Piece]] = []
    open_bins: dict[Any, list[tuple[int, int]]] = {}
    for piece in sorted(pieces, key=lambda each: -each[1].shape[1]):
        group = None if groups is None else groups[piece[0]]
        size = piece[1].shape[1]
        own = open_bins.setdefault(group, [])
        fitting = [(room, number) for room, number in own if room >= size]
        room, number = min(fitting, default=(limit, len(bins)))
        if number == len(bins):
            bins.append([])
        else:
            own.remove((room, number))
        bins[number].append(piece)
        if room - size > 0:
            own.append((room - size, number))
            own[:] = own[-_OPEN:]
    return bins


_OPEN = 200
"""Rows with room that are looked at: more would make packing quadratic and fill hardly better."""


def _joined(pieces: Sequence[_Piece]) -> NDArray[np.int32]:
    joined = np.concatenate([tokens for _, tokens in pieces], axis=1)
    lengths = [tokens.shape[1] for _, tokens in pieces]
    joined[SEGMENTS] = np.repeat(np.arange(len(pieces)), lengths)
    joined[MARKS, np.cumsum([0, *lengths[:-1]])] = NO_MARK  # nothing of its own document stands before it
    return joined


def _key(dataset: Dataset, pieces: Sequence[_Piece]) -> str:
    digest = xxhash.xxh3_128()
    for row, tokens in pieces:
        digest.update(dataset.keys[row].encode() + tokens.tobytes())
    return digest.hexdigest()


def _name(dataset: Dataset, pieces: Sequence[_Piece]) -> str:
    more = f" and {len(pieces) - 1} more" if len(pieces) > 1 else ""
    return f"{dataset.names[pieces[0][0]]}{more}"
