"""How inputs become what a backbone takes, and which backbone that was."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cutpoint.types.record import Record

Decoding = Literal["full", "reduced"]
"""How a JPEG is decoded: in full · at a half, a quarter or an eighth of its size, where that is still thrice the width
and height that are wanted."""


def _is_full(decoding: Decoding) -> bool:
    """Left out of what is written: so it stays what it was before there was a choice, with its digest."""
    return decoding == "full"


class ImagePreprocessing(Record):
    """How an image file becomes the backbone's input; it travels with the model everywhere.

    Sizes are pixels (height, width). The image is resized (bicubic and so on, in Pillow), cropped in the
    centre to `size`, scaled to 0…1 and normalised per channel.
    """

    kind: Literal["image"] = "image"
    size: tuple[int, int]
    resize: tuple[int, int] | int
    """An int resizes the short side and keeps the aspect; a pair resizes to exactly that."""
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] = "bicubic"
    crop_rounding: Literal["nearest even", "down"] = "nearest even"
    """How half a pixel of margin is rounded when the crop is centred: libraries differ."""
    decoding: Decoding = Field("full", exclude_if=_is_full)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    made_by: str
    """Whose pipeline this reproduces, such as "timm" or "transformers.ViTImageProcessor (PIL)"."""

    @property
    def channels(self) -> int:
        return len(self.mean)


class TableColumn(Record):
    """How a column of a raw table becomes numbers; medians and categories are those of the training rows."""

    name: str
    kind: Literal["number", "category"]
    filling: float = 0.0
    """Of a column of numbers: stands where a cell is blank."""
    has_blanks: bool = False
    """Of a column of numbers: whether one of 0 and 1 beside it says where cells are blank."""
    categories: tuple[str, ...] = ()
    """Values that have a column of 0 and 1 each; a blank or another value has none."""

    @property
    def width(self) -> int:
        """Numbers that it becomes."""
        return len(self.categories) if self.kind == "category" else 1 + self.has_blanks


class VectorPreprocessing(Record):
    """Inputs that become a vector: hand-made statistics of an image, a row of numbers as given, or of a raw table."""

    kind: Literal["statistics", "vector"]
    width: int
    columns: tuple[TableColumn, ...] = ()
    """Of a raw table, in order; empty where rows are taken as they are."""
    decoding: Decoding = Field("full", exclude_if=_is_full)
    """Of an image."""
    made_by: str = "cutpoint"


class SignalPreprocessing(Record):
    """Sounds or time series that become a row of hand-made numbers."""

    kind: Literal["signal"] = "signal"
    rate: int | None
    """Of sounds: samples a second, half of which is the highest frequency that is looked at; None: series in memory."""
    channels: int = 1
    width: int
    made_by: str = "cutpoint"


Readout = Literal["pooled", "words", "language"]
"""What a backbone's module puts out: a row an example (B, width) · a row a word (B, words, width) · the logits of the
next token (B, tokens, vocabulary)."""


class TextPreprocessing(Record):
    """How a text becomes token numbers; the tokenizer itself lies in the backbone's folder."""

    kind: Literal["text"] = "text"
    readout: Readout = "pooled"
    max_length: int
    """Tokens; what is longer is cut off at the end, and counted."""
    pooling: Literal["mean", "first", "last", "none"]
    """How token states become a row: their mean, the first (class) token's, or the last one's."""
    normalised: bool = False
    """Whether the row is scaled to length 1, as some sentence encoders do."""
    template: Literal["none", "tokenizer", "fallback"] = "none"
    """Whose chat template: the tokenizer's, or ours where it has none."""
    tokenizer_digest: str
    """xxh3-128 over the tokenizer's files: a model refuses another tokenizer."""
    made_by: str
    """Such as "transformers.BertTokenizer"."""


class TfidfPreprocessing(Record):
    """Inputs become TF-IDF weights of the terms that were counted in the training texts."""

    kind: Literal["tfidf"] = "tfidf"
    terms: tuple[str, ...]
    weights: tuple[float, ...]
    """Inverse document frequency of each term."""
    made_by: str = "scikit-learn"

    @property
    def width(self) -> int:
        return len(self.terms)


Preprocessing = Annotated[
    ImagePreprocessing | VectorPreprocessing | SignalPreprocessing | TextPreprocessing | TfidfPreprocessing,
    Field(discriminator="kind"),
]


class ImageRange(Record):
    """One figure of a picture over the training pictures."""

    mean: float
    deviation: float


class SeenImages(Record):
    """What the prepared training pictures look like, so that prediction notices inputs of another make.

    Of each picture: brightness (mean of its pixels), contrast (their standard deviation) and colour (mean distance
    between a pixel's least and greatest channel), in 0…255.
    """

    brightness: ImageRange
    contrast: ImageRange
    colour: ImageRange
    grey: float
    """Share of pictures without colour."""
    pictures: int


class Provenance(Record):
    """Where a backbone comes from; None means that it does not say."""

    licence: str | None = None
    trained_on: str | None = None
    source: str | None = None


class BackboneReference(Record):
    """Enough to load a backbone again and to prove that it is the same one."""

    kind: Literal["timm", "transformers", "builtin", "module", "none"]
    name: str
    """What the user typed: a hub name, or "builtin:glyphs"."""
    path: str | None = None
    """A local folder, where there is one."""
    image_size: int | None = None
    """Pixels asked for in place of the backbone's own input size; None keeps that."""
    readout: Readout = "pooled"
    max_length: int | None = None
    """Tokens asked for in place of the backbone's own limit; None keeps that."""
    digest: str
    """xxh3-128 over names, dtypes, shapes and bytes of all parameters and buffers."""
