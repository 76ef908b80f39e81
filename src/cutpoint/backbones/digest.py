"""One short name for the exact content of a network's weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import xxhash
from torch import Tensor, nn


def weights_digest(module: nn.Module) -> str:
    """Digest of all parameters and buffers that are saved with the module.

    Equal content gives an equal digest everywhere; another value, dtype, shape or name changes it.

    Args:
        module: Any module; it is only read.

    Returns:
        32 hexadecimal digits: xxh3-128 over names (sorted), dtypes, shapes and bytes.
    """
    return tensors_digest(module.state_dict())


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """The same for any named tensors."""
    digest = xxhash.xxh3_128()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(content.numpy().data)
    return digest.hexdigest()
