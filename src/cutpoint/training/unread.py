"""Losses of steps that the device has been told to take, and whose values nobody has read yet."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cutpoint.training.state import FitState

_STEPS_AT_ONCE = 16
"""A GPU works through a queue; asking it for a number makes everyone wait until the queue is empty."""


class UnreadLosses:
    """Steps that count as soon as their losses are read, which is at once where that costs nothing.

    The first loss that is not finite ends the fit. Steps that were taken after it before it was read do not count; the
    stepper sees to it that they change no weight.

    Args:
        state: Where the steps are counted.
        device: Where the losses are.
    """

    def __init__(self, state: FitState, device: torch.device) -> None:
        self._state = state
        self._most = 1 if device.type == "cpu" else _STEPS_AT_ONCE
        self._losses: list[Tensor] = []
        self._examples: list[int] = []

    @property
    def steps(self) -> int:
        """How many are waiting."""
        return len(self._losses)

    def add(self, loss: Tensor, examples: int) -> None:
        """Note a step, and read what waits where it has become much."""
        self._losses.append(loss)
        self._examples.append(examples)
        if self.steps >= self._most:
            self.read()

    def read(self) -> None:
        """Count the steps that are waiting, or find that the fit diverged."""
        values = torch.stack(self._losses).tolist() if self._losses else []
        for value, examples in zip(values, self._examples, strict=True):
            self._state.diverged |= not math.isfinite(value)
            if self._state.diverged:
                break
            self._state.count_step(value, examples)
        self._losses.clear()
        self._examples.clear()
