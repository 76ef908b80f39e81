"""PyTorch's own engines: the network itself, in half precision, and compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cutpoint.backbones.order import inference
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

    sample = _filled(work.middle(BATCH_SIZE)).to(work.device)
    with inference(work.program):
        # Exported first: of the program itself, hooks that come and go would be compiled at every call.
        graph = torch.export.export(work.program, (sample,), strict=False).module()
    compiled: Any = torch.compile(graph, dynamic=False)

    def run(batch: Tensor) -> list[Tensor]:
        with torch.no_grad(), inductor.patch(freezing=True):
            parts = compiled(_filled(batch).to(work.device, non_blocking=True))
        return [part[: len(batch)].float().cpu() for part in parts]

    run(sample)
    return run


def _filled(batch: Tensor) -> Tensor:
    """A batch of the one size that is compiled: its last row stands for those that are missing."""
    spare = BATCH_SIZE - len(batch)
    return torch.cat([batch, batch[-1:].expand(spare, *batch.shape[1:])]) if spare else batch
