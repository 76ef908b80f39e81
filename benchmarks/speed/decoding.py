"""Decoded pictures by hand: read in threads ahead of the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from benchmarks.peers.job import Job
from benchmarks.peers.preprocessing import transform
from PIL import Image
from torch import Tensor

_THREADS = 2
_AHEAD = 3
"""Batches that are read before they are asked for."""


def batches(job: Job, paths: Sequence[str], order: Sequence[int]) -> Iterator[tuple[list[int], Tensor]]:
    """(Places, pictures in channels-last layout), batch by batch in the given order."""
    prepare = transform(job)

    def read(places: list[int]) -> Tensor:
        opened = [Image.open(paths[place]) for place in places]
        pictures = torch.stack([prepare(picture.convert("RGB")) for picture in opened])
        return pictures.contiguous(memory_format=torch.channels_last)

    chunks = [list(order[start : start + job.batch_size]) for start in range(0, len(order), job.batch_size)]
    with ThreadPoolExecutor(_THREADS) as readers:
        ahead = deque(readers.submit(read, chunk) for chunk in chunks[:_AHEAD])
        for number, chunk in enumerate(chunks):
            if number + _AHEAD < len(chunks):
                ahead.append(readers.submit(read, chunks[number + _AHEAD]))
            yield chunk, ahead.popleft().result()
