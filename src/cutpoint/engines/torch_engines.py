"""PyTorch's own engines: the network itself, in half precision, and compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cutpoint.engines.names import BATCH_SIZE
from cutpoint.engines.work import Run, UnfitError, Work, run_module
from cutpoint.runtime import is_mixed_precision, mixed_precision


def open_eager(work: Work) -> Run:
    """The network itself: bit-equal to what trains and predicts."""
    return run_module(work.program, work.device)


def open_half(work: Work) -> Run:
    """The network in bfloat16, on a GPU that has it.

    Raises:
        UnfitError: The device has not.
    """
    if not is_mixed_precision(work.device):
        raise UnfitError(f"there is no arithmetic in bfloat16 on {work.device}")
    whole = run_module(work.program, work.device)

    def run(batch: Tensor) -> list[Tensor]:
        with mixed_precision(work.device):
            return whole(batch)

    return run


def open_compiled(work: Work) -> Run:
    """The network compiled for one size of batch; a smaller last batch is filled up.

    Raises:
        UnfitError: The inputs vary in length, so that every batch would be compiled anew.
    """
    if work.varying != (0,):
        raise UnfitError("inputs of varying length would be compiled again and again")
    import torch._inductor.config as inductor

    compiled: Any = run_module(torch.compile(work.program, dynamic=False), work.device)  # type: ignore[arg-type]

    def run(batch: Tensor) -> list[Tensor]:
        spare = BATCH_SIZE - len(batch)
        filled = torch.cat([batch, batch[-1:].expand(spare, *batch.shape[1:])]) if spare else batch
        with inductor.patch(freezing=True):
            return [part[: len(batch)] for part in compiled(filled)]

    run(work.middle(BATCH_SIZE))
    return run
