"""Inspection at load: each image is read once, hashed, decoded and glanced at; what cannot be used is set aside."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash
from PIL import Image

from cutpoint.data.collected import Collected
from cutpoint.data.fingerprints import Glance, GlancedImages, decoded_small, glance_at
from cutpoint.data.images import open_header, open_image, read_in_order, reason_of
from cutpoint.data.keys import row_key
from cutpoint.data.progress import Progress
from cutpoint.data.set_aside import check_share
from cutpoint.errors import DataError
from cutpoint.types import ImageFingerprints, Quarantined

_HINT = "Check that the files are images (JPEG, PNG, BMP, GIF, WebP, TIFF, PPM) and the paths right."


def inspect(
    collected: Collected, *, max_unreadable: float, on_progress: Progress | None = None
) -> tuple[Collected, tuple[str, ...], tuple[Quarantined, ...]]:
    """Read every input once and set aside those that cannot be used.

    Returns:
        The usable rows with their fingerprints, their keys (xxh3-128 of the file bytes, or of shape and values in
        memory), and what was set aside.

    Raises:
        DataError: More than the share `max_unreadable` of the inputs cannot be used, or all of them.
    """
    outcomes, fingerprints = _read_all(collected.inputs, on_progress)
    usable = [row for row, (key, _) in enumerate(outcomes) if key]
    quarantined = tuple(
        Quarantined(name=collected.names[row], reason=reason)
        for row, (key, reason) in enumerate(outcomes)
        if not key
    )
    check_share(quarantined, len(outcomes), max_unreadable, "image", _HINT)
    keys = tuple(outcomes[row][0] for row in usable)
    collected = replace(collected, fingerprints=fingerprints)
    return (collected.take(usable) if quarantined else collected), keys, quarantined


class _Outcome(NamedTuple):
    """Of an input: key and glance, or why it cannot be used."""

    key: str = ""
    glance: Glance | None = None
    reason: str = ""


def _read_all(
    inputs: Sequence[Any], on_progress: Progress | None
) -> tuple[list[tuple[str, str]], ImageFingerprints]:
    """(key, reason) of each, one of them empty, and the fingerprints of those that have a key."""
    outcomes, seen = [], GlancedImages(len(inputs))
    with warnings.catch_warnings():
        # What cannot be used is listed by name; Pillow need not warn of it as well.
        warnings.filterwarnings("ignore", module="PIL")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        for row, outcome in enumerate(read_in_order(_read, inputs)):
            outcomes.append((outcome.key, outcome.reason))
            if outcome.glance is not None:
                seen.put(row, outcome.glance)
            if on_progress is not None:
                on_progress(row + 1, len(inputs))
    return outcomes, seen.found


def _read(source: Any) -> _Outcome:
    try:
        if source is None:
            return _Outcome(reason="no path is given")
        if isinstance(source, str | Path):
            return _read_file(Path(source))
        image = open_image(source)
        return _Outcome(row_key(np.asarray(image)), glance_at(image, image.size, 0))
    except DataError as problem:
        return _Outcome(reason=problem.message.rstrip("."))
    # Pillow's decoders raise almost anything on a damaged file; whatever it is, it goes into the list.
    except Exception as problem:
        return _Outcome(reason=reason_of(problem))


def _read_file(path: Path) -> _Outcome:
    content = path.read_bytes()
    if not content:
        return _Outcome(reason="empty file")
    with open_header(io.BytesIO(content)) as opened:
        image, size = decoded_small(opened)
    return _Outcome(xxhash.xxh3_128_hexdigest(content), glance_at(image, size, len(content)))
