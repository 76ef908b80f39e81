"""How texts stand in arrays: token numbers with what belongs to each token.

A prepared text is int32 (3, tokens); a batch is int64 (B, 3, longest). The three rows are named below. Padding is
part of the array itself (a negative token number), so that whoever has the batch knows where each text ends, and
batches of texts pass through the same functions as batches of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

IDS, SEGMENTS, MARKS = 0, 1, 2
"""Token number, or `PADDING` · number of the segment (of a pair: 0 and 1; of packed documents: 0, 1, 2, …) ·
what is read out at this token: for words, the number of the word that begins here, for language modelling 1 where the
token is one to be predicted; `NO_MARK` otherwise."""
ROWS = 3
PADDING = -1
NO_MARK = -1


def pad(texts: Sequence[NDArray[Any]]) -> Tensor:
    """Prepared texts, each int (3, tokens), as one int64 batch (B, 3, longest)."""
    longest = max((text.shape[1] for text in texts), default=0)
    batch = np.full((len(texts), ROWS, longest), PADDING, dtype=np.int64)
    batch[:, SEGMENTS] = 0
    for row, text in enumerate(texts):
        batch[row, :, : text.shape[1]] = text
    return torch.from_numpy(batch)


def mask_of(tokens: Tensor) -> Tensor:
    """bool (B, longest): where there is a token."""
    return tokens[:, IDS] >= 0


def lengths_of(tokens: Tensor) -> Tensor:
    """int64 (B,): tokens of each text."""
    return mask_of(tokens).sum(1)


def words_of(states: Tensor, tokens: Tensor) -> Tensor:
    """States of the tokens that begin words: (B, longest, width) → (B, most words, width), zeros behind the last.

    Args:
        states: (B, longest, width).
        tokens: (B, 3, longest).
    """
    marks = tokens[:, MARKS]
    most = int(marks.max()) + 1 if marks.numel() else 0
    words = states.new_zeros(states.shape[0], max(most, 0), states.shape[2])
    rows, places = (marks >= 0).nonzero(as_tuple=True)
    return words.index_put((rows, marks[rows, places]), states[rows, places])


def next_tokens(tokens: Tensor, ignored: int) -> Tensor:
    """int64 (B, longest): at each place the token that follows where it is one to be predicted, else `ignored`."""
    following = torch.where(tokens[:, MARKS] > 0, tokens[:, IDS], ignored)
    return torch.cat([following[:, 1:], following.new_full((len(tokens), 1), ignored)], dim=1)
