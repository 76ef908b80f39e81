"""Learned tokens in front of a text: prompt tuning (Lester et al., 2021), prefix tuning (Li and Liang, 2021)."""

from __future__ import annotations

from torch import nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.errors import RegimeError

NAME = "virtual_tokens"


def add_virtual_tokens(module: nn.Module, adapter: Adapter) -> None:
    raise RegimeError(takes_no_prompt(module))


def takes_no_prompt(module: nn.Module) -> str:
    return "Virtual tokens need a text network whose input takes embeddings."


def takes_no_prefix(module: nn.Module) -> str:
    return "Virtual tokens need a text network whose input takes embeddings."
