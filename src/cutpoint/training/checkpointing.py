"""Gradient checkpointing: activations are computed again on the way back instead of being kept.

Chen et al. 2016, "Training deep nets with sublinear memory cost": about a third more time, and the memory of one
block's activations instead of all.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from cutpoint.errors import RegimeError


def keep_no_activations(module: nn.Module) -> None:
    """Switch checkpointing on, in place, the way the network's own library does it.

    Raises:
        RegimeError: The network has no such switch.
    """
    part: Any = module
    if hasattr(part, "activation_checkpointing_enable"):  # transformers from 5.20 or so on
        part.activation_checkpointing_enable({"use_reentrant": False})
    elif hasattr(part, "gradient_checkpointing_enable"):  # transformers before
        part.gradient_checkpointing_enable({"use_reentrant": False})
    elif hasattr(part, "set_grad_checkpointing"):  # timm
        part.set_grad_checkpointing()
    else:
        raise RegimeError(
            f"{type(module).__name__} cannot compute its activations again.", "Leave `checkpointing` out."
        )
