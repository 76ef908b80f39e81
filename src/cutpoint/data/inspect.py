"""Inspection at load: each image is read once, hashed and decoded; what cannot be used is set aside."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from PIL import Image

from cutpoint.data.collected import Collected, few
from cutpoint.data.images import DRAFT_SIDE, decode, open_header, open_image, read_in_order, reason_of
from cutpoint.errors import DataError
from cutpoint.types import Quarantined

Progress = Callable[[int, int], None]

_HINT = "Check that the files are images (JPEG, PNG, BMP, GIF, WebP, TIFF, PPM) and the paths right."


def inspect(
    collected: Collected, *, max_unreadable: float, on_progress: Progress | None = None
) -> tuple[Collected, tuple[str, ...], tuple[Quarantined, ...]]:
    """Read every input once and set aside those that cannot be used.

    Returns:
        The usable rows, their keys (xxh3-128 of the file bytes, or of shape and values in memory), and what
        was set aside.

    Raises:
        DataError: More than the share `max_unreadable` of the inputs cannot be used, or all of them.
    """
    outcomes = _read_all(collected.inputs, on_progress)
    usable = [row for row, (key, _) in enumerate(outcomes) if key]
    quarantined = tuple(
        Quarantined(name=collected.names[row], reason=reason)
        for row, (key, reason) in enumerate(outcomes)
        if not key
    )
    check_share(quarantined, len(outcomes), max_unreadable, "image", _HINT)
    keys = tuple(outcomes[row][0] for row in usable)
    return (collected.take(usable) if quarantined else collected), keys, quarantined


def row_key(values: Any) -> str:
    """Content hash of an array: of its type, shape and values."""
    array = np.ascontiguousarray(values)
    digest = xxhash.xxh3_128(f"{array.dtype.str}{array.shape}".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def _read_all(inputs: Sequence[Any], on_progress: Progress | None) -> list[tuple[str, str]]:
    outcomes = []
    with warnings.catch_warnings():
        # What cannot be used is listed by name; Pillow need not warn of it as well.
        warnings.filterwarnings("ignore", module="PIL")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        for done, outcome in enumerate(read_in_order(_key_or_reason, inputs), start=1):
            outcomes.append(outcome)
            if on_progress is not None:
                on_progress(done, len(inputs))
    return outcomes


def _key_or_reason(source: Any) -> tuple[str, str]:
    """(key, "") of a usable image, ("", reason) of another."""
    try:
        if source is None:
            return "", "no path is given"
        if isinstance(source, str | Path):
            return _key_of_file(Path(source))
        return row_key(np.asarray(open_image(source))), ""
    except DataError as problem:
        return "", problem.message.rstrip(".")
    # Pillow's decoders raise almost anything on a damaged file; whatever it is, it goes into the list.
    except Exception as problem:
        return "", reason_of(problem)


def _key_of_file(path: Path) -> tuple[str, str]:
    content = path.read_bytes()
    if not content:
        return "", "empty file"
    with open_header(io.BytesIO(content)) as image:
        image.draft(image.mode, (DRAFT_SIDE, DRAFT_SIDE))
        decode(image)
    return xxhash.xxh3_128_hexdigest(content), ""


def check_share(
    quarantined: Sequence[Quarantined], total: int, max_unreadable: float, noun: str, hint: str
) -> None:
    """Raise a DataError where too many inputs (images, texts) were set aside, or all of them; `hint` if all."""
    if not quarantined or (len(quarantined) <= max_unreadable * total and len(quarantined) < total):
        return
    shown = few([f"{item.name} ({item.reason})" for item in quarantined])
    if len(quarantined) == total:
        raise DataError(f"no {noun} can be read: {shown}.", hint)
    raise DataError(
        f"{len(quarantined):,} of {total:,} {noun}s cannot be read, more than {100 * max_unreadable:.0f} %: {shown}.",
        "Repair or remove them, or go on without them by a larger --max-unreadable (a share, such as 0.2).",
    )
