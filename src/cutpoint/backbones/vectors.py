"""Backbones without a network: hand-made image statistics, and rows of numbers as they are given.

They let the cheap honest trials (and plain feature tables) run through the same regimes, race and model folder.
"""

from __future__ import annotations

import xxhash
from torch import nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.inputs import VectorInputs
from cutpoint.data.statistics import STATISTICS_WIDTH
from cutpoint.types import BackboneReference, Provenance, TableColumn, VectorPreprocessing

STATISTICS_NAME = "builtin:statistics"
VECTOR_NAME = "features"


def statistics_backbone() -> Backbone:
    """Colour, thumbnail and gradient statistics of an image; see `cutpoint.data.statistics`."""
    preprocessing = VectorPreprocessing(kind="statistics", width=STATISTICS_WIDTH, decoding="reduced")
    reference = BackboneReference(kind="builtin", name=STATISTICS_NAME, digest="statistics-1")
    return _without_network(reference, preprocessing, Provenance(licence="Apache-2.0", trained_on="nothing"))


def vector_backbone(width: int, columns: tuple[TableColumn, ...] = ()) -> Backbone:
    """Rows of `width` numbers, as given, or as made of the columns of a raw table."""
    preprocessing = VectorPreprocessing(kind="vector", width=width, columns=columns)
    digest = f"width-{width}"
    if columns:
        digest += f"-{xxhash.xxh3_64_hexdigest(preprocessing.model_dump_json().encode())}"
    reference = BackboneReference(kind="none", name=VECTOR_NAME, digest=digest)
    return _without_network(reference, preprocessing, Provenance())


def _without_network(
    reference: BackboneReference, preprocessing: VectorPreprocessing, provenance: Provenance
) -> Backbone:
    return Backbone(
        reference=reference,
        module=nn.Identity(),
        blocks=(),
        inputs=VectorInputs(preprocessing),
        width=preprocessing.width,
        provenance=provenance,
        rebuild=nn.Identity,
    )
