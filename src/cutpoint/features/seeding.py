"""Random numbers that follow from given numbers alone: a resumed fit draws what a straight one draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Torch draws from a state made of these numbers; the caller's random state is put back afterwards."""
    with torch.random.fork_rng(devices=[]):
        reseed(*numbers)
        yield


def reseed(*numbers: int) -> None:
    """Set torch's random state from these numbers.

    `torch.manual_seed` would do, but where there is no GPU it formats a stack trace at every call, which takes
    longer than augmenting an image.
    """
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
