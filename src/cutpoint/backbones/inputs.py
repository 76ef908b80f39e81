"""From what the user has to what a backbone takes, for every kind of preprocessing.

In two steps, because the first is what a cache stores: `prepare_input` reads one example into an array,
`to_inputs` makes a batch of such arrays the network's input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.backbones.preprocessing import normalise, prepare
from cutpoint.data.images import open_image
from cutpoint.data.statistics import image_statistics
from cutpoint.types import ImagePreprocessing, VectorPreprocessing

AnyPreprocessing = ImagePreprocessing | VectorPreprocessing


def prepare_input(preprocessing: AnyPreprocessing, source: Any) -> NDArray[Any]:
    """Read one example: uint8 (channels, height, width) for images, float32 (width,) for vectors.

    Raises:
        DataError: The file cannot be read, naming it.
    """
    if isinstance(preprocessing, ImagePreprocessing):
        return prepare(preprocessing, open_image(source, preprocessing.channels))
    if preprocessing.kind == "statistics":
        return image_statistics(open_image(source))
    return np.asarray(source, dtype=np.float32)


def prepared_shape(preprocessing: AnyPreprocessing) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of what `prepare_input` returns."""
    if isinstance(preprocessing, ImagePreprocessing):
        return (preprocessing.channels, *preprocessing.size), np.dtype(np.uint8)
    return (preprocessing.width,), np.dtype(np.float32)


def to_inputs(preprocessing: AnyPreprocessing, prepared: Tensor) -> Tensor:
    """A batch of prepared examples as the network's input: float32, images normalised and channels-last."""
    if isinstance(preprocessing, VectorPreprocessing):
        return prepared
    return to_layout(normalise(preprocessing, prepared))


def to_layout(inputs: Tensor) -> Tensor:
    """The same inputs in the memory layout that networks run on here: images channels-last, rows as they are.

    That is what convolutions are fastest in on a CPU and in half precision; and one layout everywhere keeps
    what is cached bit-equal to what is computed.
    """
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs


def use_channels_last(module: nn.Module) -> nn.Module:
    """The module with its convolutions' weights in that layout too, changed in place."""
    convert: Any = module.to
    converted: nn.Module = convert(memory_format=torch.channels_last)
    return converted
