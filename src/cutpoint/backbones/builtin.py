"""The embedded backbone: it lies in the package and needs no network."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from torch import nn

from cutpoint.backbones.backbone import Backbone, Block
from cutpoint.backbones.digest import weights_digest
from cutpoint.backbones.inputs import ImageInputs
from cutpoint.backbones.table import BUILTIN_NAMES, GLYPHS
from cutpoint.errors import BackboneError
from cutpoint.types import BackboneReference, ImagePreprocessing, Provenance


def load_builtin(name: str = GLYPHS) -> Backbone:
    """Load an embedded backbone.

    Args:
        name: "builtin:glyphs", a small network for grey 32 × 32 images.

    Raises:
        BackboneError: There is no such embedded backbone.
    """
    if name not in BUILTIN_NAMES:
        raise BackboneError(
            f"There is no embedded backbone {name!r}.", f"the embedded ones are {', '.join(BUILTIN_NAMES)}"
        )
    from safetensors.torch import load

    folder = resources.files("cutpoint.backbones.glyphs")
    configuration: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    module = _build()
    module.load_state_dict(load((folder / "weights.safetensors").read_bytes()))
    module.eval()
    size = int(configuration["size"])
    preprocessing = ImagePreprocessing(
        size=(size, size),
        resize=(size, size),
        interpolation="bilinear",
        decoding="reduced",
        mean=tuple(configuration["mean"]),
        std=tuple(configuration["std"]),
        made_by="cutpoint",
    )
    return Backbone(
        reference=BackboneReference(kind="builtin", name=name, digest=weights_digest(module)),
        module=module,
        blocks=tuple(Block(path, (path,)) for path in configuration["blocks"]),
        inputs=ImageInputs(preprocessing),
        width=int(configuration["width"]),
        provenance=Provenance(
            licence=configuration["licence"],
            trained_on=configuration["trained_on"],
            source=f"this package ({configuration['recipe']})",
        ),
        rebuild=_build,
    )


def _build() -> nn.Module:
    from cutpoint.backbones.glyphs.network import GlyphNetwork

    return GlyphNetwork()
