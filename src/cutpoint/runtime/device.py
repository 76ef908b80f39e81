"""Where the arithmetic runs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from cutpoint.errors import CutpointError

Result = TypeVar("Result")


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


def set_threads(count: int | None) -> int:
    """Use that many threads for arithmetic (None: as torch chose); returns the number in use."""
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()


def is_mixed_precision(device: torch.device) -> bool:
    """Whether training steps on the device compute in bfloat16."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def wait_for(device: torch.device) -> None:
    """Go on when the device has done what it was told: a GPU works through a queue of its own."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def mixed_precision(device: torch.device) -> Iterator[None]:
    """Arithmetic in bfloat16 inside the block on a GPU that has it; weights, losses and the CPU stay float32."""
    if is_mixed_precision(device):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            yield
    else:
        yield


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that an array found no room, on a GPU or in the machine's own memory."""
    is_told = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return is_told or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def free_memory() -> None:
    """Hand memory that is held for reuse back, so that smaller tensors find room."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_parts(function: Callable[[Any], Result], items: Any) -> Iterator[tuple[Any, Result]]:
    """(items, the function of them); where the memory does not suffice, of their halves one after the other.

    Args:
        function: Of several items; its result stands by itself, so that halves may be answered apart.
        items: What can be counted and cut by slices.
    """
    try:
        found = function(items)
    except RuntimeError as error:
        if not is_out_of_memory(error) or len(items) == 1:
            raise
    else:
        yield items, found
        return
    free_memory()
    half = len(items) // 2
    yield from in_parts(function, items[:half])
    yield from in_parts(function, items[half:])
