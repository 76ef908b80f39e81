"""Examples as a report shows them: a small picture, or the beginning of a text."""

from __future__ import annotations

import base64
import io

from cutpoint.data.images import open_image
from cutpoint.types import Dataset, Exhibit

THUMBNAIL = 112
"""Pixels of the longer side."""
_EXCERPT = 200


def exhibit(dataset: Dataset, row: int, note: str = "") -> Exhibit:
    """The example in this row, with what is to be seen in it."""
    return Exhibit(
        name=dataset.names[row], note=note, thumbnail=thumbnail(dataset, row), excerpt=excerpt(dataset, row)
    )


def excerpt(dataset: Dataset, row: int) -> str | None:
    """The beginning of a text; of a pair, both; None of other inputs."""
    if dataset.modality != "text":
        return None
    given = dataset.inputs[row]
    text = " ⏐ ".join(str(part) for part in given) if isinstance(given, tuple) else str(given)
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"


def thumbnail(dataset: Dataset, row: int) -> str | None:
    """A data URI (JPEG) of a picture; None of other inputs."""
    if dataset.modality != "image":
        return None
    image = open_image(dataset.inputs[row])
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
