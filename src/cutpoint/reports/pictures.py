"""Embedded pictures: only data URIs, and only while there is room, so that the report stays small enough to mail."""

from __future__ import annotations

import re

_PICTURE = re.compile(r"data:image/(jpeg|png);base64,[A-Za-z0-9+/=]+")


class Pictures:
    """Lets pictures through until their bytes are spent."""

    def __init__(self, room: int) -> None:
        self._room = room

    def take(self, picture: str | None) -> str | None:
        """The picture where it is embedded and fits; None otherwise, since a page must load nothing."""
        if not picture or len(picture) > self._room or _PICTURE.fullmatch(picture) is None:
            return None
        self._room -= len(picture)
        return picture
