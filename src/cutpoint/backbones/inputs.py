"""From what the user has to what a backbone takes: one class a kind of input, all behind one interface.

In three steps, because the first is what a cache stores: `prepare` reads one example into an array, `collate`
makes a batch of such arrays, `to_network` makes the batch the network's input.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.adapters.inject import is_adapter_parameter
from cutpoint.backbones.preprocessing import normalise, open_for, prepare
from cutpoint.data.numbers import row_as_numbers
from cutpoint.data.statistics import image_statistics
from cutpoint.types import ImagePreprocessing, Preprocessing, VectorPreprocessing


class Inputs(ABC):
    """How raw inputs become the input of one backbone.

    Attributes:
        preprocessing: The record that this carries out, which is what is written down.
        shape: Of one prepared example; None where examples differ in length, which is then their last axis.
        dtype: Of a prepared example.
    """

    preprocessing: Preprocessing
    shape: tuple[int, ...] | None
    dtype: np.dtype[Any]

    @abstractmethod
    def prepare(self, source: Any) -> NDArray[Any]:
        """Read one example.

        Raises:
            DataError: It cannot be read, naming it.
        """

    def prepare_all(self, sources: Iterable[Any]) -> Iterator[NDArray[Any]]:
        """Read many examples one after the other, which may be faster than each alone; raises as `prepare`."""
        return map(self.prepare, sources)

    def collate(self, prepared: Sequence[NDArray[Any]]) -> Tensor:
        """A batch of prepared examples."""
        return torch.from_numpy(np.stack(prepared))

    def to_network(self, batch: Tensor) -> Tensor:
        """A batch as the network takes it."""
        return batch

    def pool(self, states: Tensor, batch: Tensor) -> Tensor:
        """States of a block (B, tokens, width) as what the readout takes from them: here their mean (B, width).

        Args:
            states: What a block put out.
            batch: What the network was given.
        """
        return states.mean(1)

    def placeholder(self, batch: int, like: Tensor) -> Tensor:
        """Something of the shape of `batch` inputs, where nothing reads them.

        Args:
            batch: Examples.
            like: Gives device and dtype.
        """
        assert self.shape is not None
        return torch.zeros(1, dtype=like.dtype, device=like.device).expand(batch, *self.shape)

    @abstractmethod
    def noise(self, batch: int, seed: int = 0, *, longer: bool = False) -> Tensor:
        """Meaningless inputs as the network takes them, drawn without touching torch's global random state.

        Args:
            batch: Examples.
            seed: Decides the noise, and nothing of the shape.
            longer: Examples of another length, where inputs have a length.
        """


class ImageInputs(Inputs):
    """Images: uint8 (channels, height, width), then float32, normalised and channels-last."""

    preprocessing: ImagePreprocessing

    def __init__(self, preprocessing: ImagePreprocessing) -> None:
        self.preprocessing = preprocessing
        self.shape = (preprocessing.channels, *preprocessing.size)
        self.dtype = np.dtype(np.uint8)

    def prepare(self, source: Any) -> NDArray[Any]:
        """A path, PIL image or uint8 array as the cropped uint8 image."""
        return prepare(self.preprocessing, open_for(self.preprocessing, source))

    def to_network(self, batch: Tensor) -> Tensor:
        """float32 (B, channels, height, width)."""
        return to_layout(normalise(self.preprocessing, batch))

    def noise(self, batch: int, seed: int = 0, *, longer: bool = False) -> Tensor:
        """float32 (B, channels, height, width)."""
        assert self.shape is not None
        return to_layout(normal_noise((batch, *self.shape), seed))


class VectorInputs(Inputs):
    """Hand-made statistics of an image, or a row of numbers: float32 (width,).

    Of a raw table a row may also be a mapping from the names of its columns to their cells.
    """

    preprocessing: VectorPreprocessing

    def __init__(self, preprocessing: VectorPreprocessing) -> None:
        self.preprocessing = preprocessing
        self.shape = (preprocessing.width,)
        self.dtype = np.dtype(np.float32)

    def prepare(self, source: Any) -> NDArray[Any]:
        """float32 (width,)."""
        if self.preprocessing.kind == "statistics":
            return image_statistics(source, self.preprocessing.decoding)
        if isinstance(source, Mapping):
            return row_as_numbers(source, self.preprocessing.columns)
        return np.asarray(source, dtype=np.float32)

    def noise(self, batch: int, seed: int = 0, *, longer: bool = False) -> Tensor:
        """float32 (B, width)."""
        return normal_noise((batch, self.preprocessing.width), seed)


def normal_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Standard normal float32, drawn without touching torch's global random state."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def to_layout(inputs: Tensor) -> Tensor:
    """The same inputs in the memory layout that networks run on here: images channels-last, rows as they are.

    That is what convolutions are fastest in on a CPU and in half precision; and one layout everywhere keeps
    what is cached bit-equal to what is computed.
    """
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs


def use_channels_last(module: nn.Module) -> nn.Module:
    """The module with its convolutions' weights in that layout too, changed in place.

    Those of adapters stay as they are: peft multiplies DoRA's as matrices, and cannot in this layout.
    """
    for name, parameter in module.named_parameters():
        if parameter.ndim == 4 and not is_adapter_parameter(name):
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module
