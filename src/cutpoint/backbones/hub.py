"""What of the Hugging Face hub can be had right now: models in the local cache, or over the network."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path
from urllib.parse import urlparse

from cutpoint.errors import BackboneError

_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
_CONNECT_SECONDS = 2.0


def is_cached(repository: str) -> bool:
    """Whether the weights of a hub repository ("owner/name") lie in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in _WEIGHT_FILES)


def cached_repositories() -> tuple[str, ...]:
    """Hub repositories whose weights lie in the local cache, sorted."""
    from huggingface_hub import constants

    folders = Path(constants.HF_HUB_CACHE).glob("models--*--*")
    names = (folder.name.removeprefix("models--").replace("--", "/", 1) for folder in folders)
    return tuple(sorted(name for name in names if is_cached(name)))


@functools.cache
def network_allowed() -> bool:
    """Whether the hub answers within two seconds, and HF_HUB_OFFLINE does not switch it off."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or os.environ.get("TRANSFORMERS_OFFLINE") == "1":
        return False
    address = urlparse(constants.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "huggingface.co", port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def unreachable(name: str, cause: object = None) -> BackboneError:
    """The error for a hub model that cannot be had, with a hint that names what can."""
    cached = cached_repositories()
    local = ", ".join(cached) if cached else "none"
    because = f" ({_first_line(cause)})" if cause else ""
    return BackboneError(
        f"The backbone {name!r} is neither in the local cache nor can it be downloaded{because}.",
        "available without a network: builtin:glyphs, any local folder with config.json and "
        f"model.safetensors, and hub models in the local cache (now: {local})",
    )


def _first_line(cause: object) -> str:
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[0][:160]}" if lines else type(cause).__name__
