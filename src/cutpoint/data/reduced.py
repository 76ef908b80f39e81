"""JPEGs much larger than what is wanted of them are decoded at a half, a quarter or an eighth of their size."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from cutpoint.data.images import Size, is_lying

SPARE = 3
"""Times the wanted width and height that are decoded at least, so that the antialiased resizing behind it decides."""
_MODES = ("L", "RGB")


def reduced(image: Image.Image, wanted: Callable[[Size], Size], resampling: Image.Resampling) -> Image.Image:
    """An image at the size that is wanted of it, from a smaller decoding; as it came where that does not apply.

    libjpeg scales a block of 8 × 8 pixels while it decodes it, which costs a fraction of decoding it in full; every
    byte of the file is read all the same, so that a damaged one is still noticed. Pillow's own thumbnails are made so.

    Args:
        image: A file that is opened and not decoded yet.
        wanted: Its full size upright → the size wanted of it.
        resampling: How what was decoded becomes that size.
    """
    full = image.size
    if image.format not in ("JPEG", "MPO") or image.mode not in _MODES:
        return image
    target = _turned(image, wanted(_turned(image, full)))
    drafted = image.draft(image.mode, (SPARE * target[0], SPARE * target[1]))
    if drafted is None or image.size == full:
        return image
    # The last row and column may stand for less than a whole one: the box leaves out what lies beyond the picture.
    return image.resize(target, resampling, box=drafted[1])


def _turned(image: Image.Image, size: Size) -> Size:
    """A size as stored ↔ upright."""
    return (size[1], size[0]) if is_lying(image) else size
