"""Networks that read texts: the model's own class with a forward that takes a batch of tokens.

A subclass keeps the module paths ("encoder.layer.3") and the names of the weights as they are published, and a call
with keywords (input_ids=…) is still the original forward.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cutpoint.backbones.order import inference
from cutpoint.backbones.tokens import IDS, SEGMENTS, lengths_of, mask_of, words_of
from cutpoint.errors import BackboneError
from cutpoint.types import Readout

_TOLERANCE = 1e-4
Pooling = Literal["mean", "first", "last", "none"]


@dataclass(frozen=True)
class Reading:
    """How a network reads tokens, and what of it is read out.

    Attributes:
        readout: What the network puts out.
        pooling: How token states become a row; "none" unless the readout is "pooled".
        normalised: Whether that row is scaled to length 1.
        filler: Token number that stands where there is none.
        takes_segments: Whether the network tells the two texts of a pair apart.
        takes_cache: Whether its forward keeps keys and values for generation unless it is told not to.
        packs: Whether documents that share a row are kept apart; see `keeps_apart`.
    """

    readout: Readout
    pooling: Pooling
    normalised: bool
    filler: int
    takes_segments: bool
    takes_cache: bool
    packs: bool = True

    def arguments(self, tokens: Tensor) -> dict[str, Any]:
        """A batch (B, 3, longest) as keyword arguments of the network's own forward."""
        ids, segments = tokens[:, IDS], tokens[:, SEGMENTS]
        mask = mask_of(tokens)
        arguments: dict[str, Any] = {
            "input_ids": torch.where(mask, ids, self.filler),
            "attention_mask": mask.to(torch.int64),
        }
        if self.takes_segments:
            arguments["token_type_ids"] = segments
        if self.takes_cache:
            arguments["use_cache"] = False
        return arguments


def with_reading(network: Any, reading: Reading) -> nn.Module:
    """The network in inference mode, changed in place: (B, 3, longest) → what `reading` says.

    If the attribute `virtual_tokens` is set to a module, it is called with the network and the keyword arguments
    before each pass; it returns them changed, and how many positions it put in front.
    """
    network.reading = reading
    network.register_module("virtual_tokens", None)
    network.__class__ = _reading_class(network.__class__)
    network.eval()
    module: nn.Module = network
    return module


def takes(network: Any, argument: str) -> bool:
    """Whether the network's forward has a parameter of that name."""
    return argument in inspect.signature(network.forward).parameters


def keeps_apart(module: nn.Module, tokens: Tensor) -> bool:
    """Whether a language model gives documents that share a row the logits that each has alone.

    Args:
        module: As `with_reading` makes it.
        tokens: Two texts, (2, 3, longest).
    """
    alone = [text[None, :, :length] for text, length in zip(tokens, lengths_of(tokens).tolist(), strict=True)]
    packed = torch.cat(alone, dim=2)
    packed[:, SEGMENTS, alone[0].shape[2] :] = 1
    with inference(module):
        together = module(packed)
        apart = torch.cat([module(text) for text in alone], dim=1)
    return torch.allclose(together, apart, rtol=_TOLERANCE, atol=_TOLERANCE * float(apart.abs().max()))


@functools.cache
def _reading_class(kind: Any) -> Any:
    @functools.wraps(kind.forward)
    def forward(self: Any, *positional: Any, **named: Any) -> Any:
        if named or len(positional) != 1 or positional[0].ndim != 3:
            return kind.forward(self, *positional, **named)
        return _read(self, kind, positional[0])

    return type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})


def _read(network: Any, kind: Any, tokens: Tensor) -> Tensor:
    reading: Reading = network.reading
    arguments, offset = reading.arguments(tokens), 0
    packed = reading.readout == "language" and bool((tokens[:, SEGMENTS] > 0).any())
    if packed:
        if not reading.packs:
            raise BackboneError(
                f"{kind.__name__} does not keep documents apart that share a row.",
                "switch packing off for this language model",
            )
        arguments = _apart(arguments, tokens)
    if network.virtual_tokens is not None:
        if packed:
            raise BackboneError(
                "Virtual tokens stand before a text; they do not reach packed texts.",
                "switch packing off for prompt and prefix tuning",
            )
        arguments, offset = network.virtual_tokens(network, arguments)
    output = kind.forward(network, **arguments)
    if reading.readout == "language":
        logits: Tensor = output.logits[:, offset:]
        return logits
    return _read_out(reading, output.last_hidden_state[:, offset:], tokens)


def _apart(arguments: dict[str, Any], tokens: Tensor) -> dict[str, Any]:
    """Arguments for several documents in a row: positions begin anew at each, and no mask is given.

    From such positions alone transformers (`masking_utils.find_packed_sequence_indices`) sees to it that no document
    attends to another; padding stands behind the last one, where causal attention does not reach it.
    """
    segments = tokens[:, SEGMENTS]
    places = torch.arange(segments.shape[1], device=segments.device).expand_as(segments)
    begins = torch.ones_like(segments, dtype=torch.bool)
    begins[:, 1:] = (segments[:, 1:] != segments[:, :-1]) & mask_of(tokens)[:, 1:]
    starts = torch.where(begins, places, 0).cummax(1).values
    return {**arguments, "attention_mask": None, "position_ids": places - starts}


def _read_out(reading: Reading, states: Tensor, tokens: Tensor) -> Tensor:
    """(B, longest, width) → (B, width), or (B, words, width)."""
    if reading.readout == "words":
        return words_of(states, tokens)
    rows = pooled_states(reading.pooling, states, tokens)
    return F.normalize(rows, dim=1) if reading.normalised else rows


def pooled_states(pooling: Pooling, states: Tensor, tokens: Tensor) -> Tensor:
    """(B, longest, width) states of tokens (B, 3, longest) as one row a text, (B, width)."""
    if pooling == "first":
        return states[:, 0]
    if pooling == "last":
        last = (lengths_of(tokens) - 1).clamp_min(0)
        return states[torch.arange(len(states), device=states.device), last]
    mask = mask_of(tokens).unsqueeze(2).to(states.dtype)
    return (states * mask).sum(1) / mask.sum(1).clamp_min(1e-9)
