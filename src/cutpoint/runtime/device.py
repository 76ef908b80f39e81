"""Where the arithmetic runs."""

from __future__ import annotations

import torch

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
        raise CutpointError(f"The device {name!r} is not here.", "Try --device auto or --device cpu.") from error
    return device


def set_threads(count: int | None) -> int:
    """Use that many threads for arithmetic (None: as torch chose); returns the number in use."""
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()
