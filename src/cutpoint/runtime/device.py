"""Where the arithmetic runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from cutpoint.errors import CutpointError


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is the first GPU where there is one, else the CPU.

    Raises:
        CutpointError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise CutpointError(
            f"The device {name!r} is not here.", "Try --device auto or --device cpu."
        ) from error
    return device


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread inside the block.

    Small matrix products gain nothing from a second thread, and where other work holds a core, threads that wait
    for each other at every product take ten times as long.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def channels_last(module: nn.Module) -> nn.Module:
    """The module with its convolution weights channels-last: the fastest layout on CPUs and in half precision."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def set_threads(count: int | None) -> int:
    """Use that many threads for arithmetic (None: as torch chose); returns the number in use."""
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()
