"""The Backbone record: a pretrained network that declares its own order and carries its own preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cutpoint.backbones.inputs import ImageInputs, Inputs, VectorInputs
from cutpoint.types import (
    BackboneReference,
    Decoding,
    ImagePreprocessing,
    Preprocessing,
    Provenance,
    VectorPreprocessing,
)


@dataclass(frozen=True)
class Block:
    """One step of the ordered stack.

    Attributes:
        name: Module path whose output is the activation after this block; a cut is named by it.
        members: Module paths whose parameters belong to the block (the named one, and those that run with it,
            such as the norm behind a stem convolution).
    """

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network without a head.

    Attributes:
        reference: How to load it again, with the digest of its weights.
        module: A batch as `inputs` makes it → pooled features (B, width); from texts, where the readout says so,
            a row a word (B, words, width) or the logits of the next token (B, tokens, vocabulary).
        blocks: In the order in which the data pass them.
        inputs: How a raw input becomes the module's input.
        width: Pooled features per example.
        provenance: Licence and training data, where known.
        rebuild: Builds the same architecture with random weights, drawn from torch's current random state.
        source_classes: Names of the classes of its pretraining, synonyms with commas between them; empty where they
            are not known.
        source_scores: Pooled features (N, width) as the module gives them → logits (N, source classes) of the head of
            its pretraining, which is read when it is first asked; None where no such head is at hand.
    """

    reference: BackboneReference
    module: nn.Module
    blocks: tuple[Block, ...]
    inputs: Inputs
    width: int
    provenance: Provenance
    rebuild: Callable[[], nn.Module]
    source_classes: tuple[str, ...] = ()
    source_scores: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None

    @property
    def name(self) -> str:
        return self.reference.name

    @property
    def preprocessing(self) -> Preprocessing:
        """What `inputs` carries out, as it is written down."""
        return self.inputs.preprocessing

    def with_decoding(self, decoding: Decoding) -> Backbone:
        """The same with JPEGs decoded so, which is ours to choose: no backbone declares it."""
        own = self.preprocessing
        if not isinstance(own, ImagePreprocessing | VectorPreprocessing) or own.decoding == decoding:
            return self
        inputs: Inputs
        if isinstance(own, ImagePreprocessing):
            inputs = ImageInputs(own.model_copy(update={"decoding": decoding}))
        else:
            inputs = VectorInputs(own.model_copy(update={"decoding": decoding}))
        return replace(self, inputs=inputs)
