"""One way to open an image of any mode: training, prediction and reports see the same pixels."""

from __future__ import annotations

import io
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cutpoint.errors import DataError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)
"""Files with these endings (in any case) are taken as images."""


Answer = TypeVar("Answer")
Size = tuple[int, int]
"""Width and height, as Pillow has them."""

_AT_ONCE, _AHEAD = 16, 4
"""Sources of one errand of a thread, since every errand costs something by itself; errands ahead."""
DRAFT_SIDE = 64
"""A JPEG decodes up to 8 times smaller at a fraction of the cost, and still every byte of it is read.
Fingerprints look at no more pixels than these."""


def decoders() -> ThreadPoolExecutor:
    """Threads that read and decode: one more than there are cores, since files are waited for, and eight at most."""
    return ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) + 1))


def read_in_order(function: Callable[[Any], Answer], sources: Iterable[Any]) -> Iterator[Answer]:
    """What a function says of each source, in order, from several threads; few are ahead of what was taken.

    `Executor.map` would queue all of them at once, which of a hundred thousand files takes more memory than they do.
    """
    waiting = iter(sources)

    def answers(some: Sequence[Any]) -> list[Answer]:
        return [function(source) for source in some]

    with decoders() as pool:
        ahead: deque[Future[list[Answer]]] = deque()
        while some := list(islice(waiting, _AT_ONCE)):
            ahead.append(pool.submit(answers, some))
            if len(ahead) > _AHEAD:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def looks_like_image(value: Any) -> bool:
    """Whether a value is the path of an image, by its ending."""
    return isinstance(value, str) and Path(value.strip()).suffix.lower() in IMAGE_SUFFIXES


# Pillow would also try formats that start other programs (EPS) on a file that only claims to be a picture.
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM")

_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N")


_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)
"""EXIF tag, and its values that swap width and height."""


def open_image(
    source: Any, channels: int = 3, reduce: Callable[[Image.Image], Image.Image] | None = None
) -> Image.Image:
    """Open an image upright, opaque and with 8 bits a channel.

    The EXIF orientation is applied; transparency (alpha, transparent palette entries) is laid on white; CMYK
    and other colour spaces become RGB; of an animation the first frame counts. Integers of 16 bits are scaled
    by 1/257. Integers of 32 bits are read as 16-bit values where they fit, else stretched from their least to
    their greatest value. Reals in 0…1 are scaled by 255, in 0…255 kept, others stretched.

    Args:
        source: A path, the bytes of a file, a PIL image, or a uint8 array (H, W), (H, W, 1), (H, W, 3) or
            (H, W, 4).
        channels: 3 for mode RGB, 1 for mode L.
        reduce: What is done with a file that is opened and not decoded yet, such as `cutpoint.data.reduced.reduced`.
            Pixels in memory are taken as they are.

    Raises:
        DataError: The source cannot be read as an image; the message names the file.
    """
    if channels not in (1, 3):
        raise DataError(f"images can be opened with 1 or 3 channels, not {channels}.", "Use channels=3.")
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures with a path into its own files; above the limit we refuse them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            if isinstance(source, Image.Image):
                return decode(source, channels)
            if isinstance(source, np.ndarray):
                return decode(_from_array(source), channels)
            file = io.BytesIO(source) if isinstance(source, bytes) else Path(source)
            with open_header(file) as image:
                return decode(image if reduce is None else reduce(image), channels)
    except DataError:
        raise
    # Pillow's decoders raise almost anything on a damaged file, from SyntaxError to struct.error.
    except Exception as problem:
        raise DataError(
            f"{describe(source)} cannot be read as an image: {reason_of(problem)}.",
            "Repair, replace or remove it.",
        ) from problem


def open_header(file: Path | io.BytesIO) -> Image.Image:
    """Open an image file without decoding it.

    Raises:
        Image.DecompressionBombError: More pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    image = Image.open(file, formats=_FORMATS)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        image.close()
        raise Image.DecompressionBombError(
            f"{image.width} × {image.height} pixels are more than the limit of {limit:,}"
        )
    return image


def is_lying(image: Image.Image) -> bool:
    """Whether width and height change places when the image is put upright."""
    try:
        return image.getexif().get(_ORIENTATION) in _LYING
    # Damaged metadata raise almost anything; `decode` leaves such an image as it lies.
    except Exception:
        return False


def decode(image: Image.Image, channels: int = 3) -> Image.Image:
    """Read the pixels of an opened image and bring them to 8 bits a channel; see `open_image`."""
    image = _upright(image)
    if image.mode in _SIXTEEN_BIT_MODES or image.mode in ("I", "F"):
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        image = _on_white(image)
    return image.convert("L" if channels == 1 else "RGB")


def describe(source: Any) -> str:
    """What to call an image in a message."""
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, Image.Image):
        return getattr(source, "filename", "") or "a PIL image"
    return "the bytes given" if isinstance(source, bytes) else "an array"


def reason_of(problem: Exception) -> str:
    """Why a file could not be read, in a few words without its path."""
    if isinstance(problem, FileNotFoundError):
        return "does not exist"
    if isinstance(problem, IsADirectoryError):
        return "is a folder"
    if isinstance(problem, PermissionError):
        return "may not be read (permission denied)"
    if isinstance(problem, UnidentifiedImageError):
        return "not an image in a known format"
    if isinstance(problem, Image.DecompressionBombError):
        return f"too large to be safe ({problem})"
    return str(problem) or type(problem).__name__


def _from_array(array: NDArray[Any]) -> Image.Image:
    if array.dtype != np.uint8:
        raise DataError(
            f"an image array holds {array.dtype}, not uint8.",
            "Scale it to 0…255 and convert it with .astype('uint8').",
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or array.size == 0:
        raise DataError(
            f"an image array has the shape {array.shape}.",
            "Give (height, width), or (height, width, channels) with 1, 3 or 4 channels, none of them 0.",
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    # Damaged metadata (which raise almost anything) say nothing against the pixels, which are loaded by now.
    except Exception:
        return image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if image.mode == "F" and low >= 0 and high <= 255:
        start, width = 0.0, 1.0 if high <= 1 else 255.0
    elif image.mode != "F" and low >= 0 and high <= 65535:
        start, width = 0.0, 65535.0
    else:
        start, width = low, max(high - low, np.finfo(np.float64).tiny)
    scaled = np.clip(np.nan_to_num((values - start) / width, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    return Image.fromarray(np.rint(scaled * 255).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    opaque = image.convert("RGBA")
    white = Image.new("RGBA", opaque.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, opaque)
