"""The seam: what an engine is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.backbones.order import inference
from cutpoint.engines.graphs import GraphFolder

Run = Callable[[Tensor], list[Tensor]]
"""A batch of prepared inputs → float32 tensors on the CPU, one row (or run of words) an input each."""


class UnfitError(Exception):
    """An engine cannot run a program, or not as the network itself would; says why, to follow a colon."""


@dataclass(frozen=True)
class Work:
    """A frozen program, and the rows that are to pass through it.

    Attributes:
        program: A batch of prepared inputs → a tuple of tensors, all of them from one pass.
        read: Positions → a batch of prepared inputs.
        order: (N,) positions in the order in which they will be run.
        device: Where the weights are.
        varying: Axes of a batch whose size varies: the first, and for texts the last.
        graphs: Where converted programs are kept.
        key: Names the program: its weights, what it computes, what it takes.
    """

    program: nn.Module
    read: Callable[[NDArray[np.int64]], Tensor]
    order: NDArray[np.int64]
    device: torch.device
    varying: tuple[int, ...]
    graphs: GraphFolder
    key: Mapping[str, Any]

    def middle(self, rows: int) -> Tensor:
        """That many rows out of the middle of the order: of texts, they are of ordinary length."""
        start = max((len(self.order) - rows) // 2, 0)
        return self.read(self.order[start : start + rows])


def run_module(program: nn.Module, device: torch.device) -> Run:
    """An engine that runs a program as it is."""

    def run(batch: Tensor) -> list[Tensor]:
        with inference(program):
            parts = program(batch.to(device, non_blocking=True))
        return [part.float().cpu() for part in parts]

    return run
