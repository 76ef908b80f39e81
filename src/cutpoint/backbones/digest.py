"""One short name for the exact content of a network's weights."""

from __future__ import annotations

import torch
import xxhash
from torch import nn


def weights_digest(module: nn.Module) -> str:
    """Digest of all parameters and buffers that are saved with the module.

    Equal content gives an equal digest everywhere; another value, dtype, shape or name changes it.

    Args:
        module: Any module; it is only read.

    Returns:
        32 hexadecimal digits: xxh3-128 over names (sorted), dtypes, shapes and bytes.
    """
    state = module.state_dict()
    digest = xxhash.xxh3_128()
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(memoryview(content.numpy()))
    return digest.hexdigest()
