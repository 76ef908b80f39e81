"""Batches that are read while the network works on those before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future

from torch import Tensor

from cutpoint.data.images import decoders
from cutpoint.features.spans import Rows

_AHEAD = 8
"""Batches that are read or wait while another is worked on: it bounds the memory."""


def read_ahead(order: Rows, size: int, read: Callable[[Rows], Tensor]) -> Iterator[tuple[Rows, Tensor]]:
    """Positions in this order, that many at a time, and what is read for them.

    Args:
        order: Positions.
        size: Of a batch; the last may be smaller.
        read: Called in several threads at once.
    """
    chunks = [order[start : start + size] for start in range(0, len(order), size)]
    with decoders() as readers:
        ahead: list[Future[Tensor]] = [readers.submit(read, chunk) for chunk in chunks[:_AHEAD]]
        for number, chunk in enumerate(chunks):
            batch = ahead.pop(0).result()
            if number + _AHEAD < len(chunks):
                ahead.append(readers.submit(read, chunks[number + _AHEAD]))
            yield chunk, batch
