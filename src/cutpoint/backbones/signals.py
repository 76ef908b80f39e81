"""Sounds and time series as rows of hand-made numbers: a backbone without a network, for models from scratch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.inputs import Inputs, normal_noise
from cutpoint.data.signal_numbers import series_numbers, sound_numbers
from cutpoint.data.signals import Signal, open_signal
from cutpoint.errors import DataError
from cutpoint.types import BackboneReference, Provenance, SignalPreprocessing

SIGNAL_NAME = "builtin:signal-numbers"


class SignalInputs(Inputs):
    """A .wav file, or an array (values,) or (channels, values): float32 (width,).

    An array is a sound where the model was trained on sounds: then of the rate that they had at least, within -1…1.
    """

    preprocessing: SignalPreprocessing

    def __init__(self, preprocessing: SignalPreprocessing) -> None:
        self.preprocessing = preprocessing
        self.shape = (preprocessing.width,)
        self.dtype = np.dtype(np.float32)

    def prepare(self, source: Any) -> NDArray[Any]:
        """float32 (width,)."""
        own, signal = self.preprocessing, open_signal(source)
        if own.rate is None and signal.rate is not None:
            raise DataError(
                f"{source} is a sound, and the model reads series.", "Give arrays (channels, values)."
            )
        if len(signal.values) != own.channels:
            raise DataError(
                f"a signal has {len(signal.values)} channels; the model reads {own.channels}.",
                "Give the channels that it was trained on, in their order.",
            )
        return series_numbers(signal.values) if own.rate is None else _sound(signal, own.rate, source)

    def noise(self, batch: int, seed: int = 0, *, longer: bool = False) -> Tensor:
        """float32 (B, width)."""
        return normal_noise((batch, self.preprocessing.width), seed)


def signal_backbone(preprocessing: SignalPreprocessing) -> Backbone:
    """The numbers of `cutpoint.data.signal_numbers`."""
    digest = f"signal-numbers-1-{preprocessing.rate}-{preprocessing.channels}"
    return Backbone(
        reference=BackboneReference(kind="builtin", name=SIGNAL_NAME, digest=digest),
        module=nn.Identity(),
        blocks=(),
        inputs=SignalInputs(preprocessing),
        width=preprocessing.width,
        provenance=Provenance(licence="Apache-2.0", trained_on="nothing"),
        rebuild=nn.Identity,
    )


def _sound(signal: Signal, least: int, source: Any) -> NDArray[np.float32]:
    rate = signal.rate or least
    if rate < least:
        raise DataError(
            f"{source} has {rate:,} samples a second, and the model was trained on sounds with {least:,} at least.",
            "Record at that rate. To convert the file to it would not bring back what is missing.",
        )
    return sound_numbers(signal.values[0], rate, least / 2)
