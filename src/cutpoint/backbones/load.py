"""One door to every backbone: a name, a folder or a module in, a Backbone out."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.errors import ArtifactError, BackboneError
from cutpoint.types import BackboneReference


def load_backbone(
    spec: str | nn.Module | Backbone, *, image_size: int | None = None, path: str | Path | None = None
) -> Backbone:
    """Load a backbone.

    Args:
        spec: A hub name ("mobilenetv2_100.ra_in1k", "timm:…", "hf:owner/model"), "builtin:glyphs", a local
            folder, or a Backbone, which is returned as it is.
        image_size: Pixels in place of the backbone's own input size.
        path: A local folder to read instead of what `spec` says.

    Raises:
        BackboneError: The backbone is unknown, cannot be reached or cannot be read; the hint says what can.
    """
    if isinstance(spec, Backbone):
        return spec
    if isinstance(spec, nn.Module):
        raise BackboneError(
            "A module of your own comes without preprocessing.",
            "wrap it: cutpoint.backbones.from_module.from_module(module, preprocessing=…)",
        )
    folder = Path(path) if path is not None else Path(spec)
    if path is not None or folder.is_dir():
        return _load_folder(folder, image_size)
    from cutpoint.backbones.from_timm import from_timm

    return from_timm(spec, image_size=image_size)


def load_reference(reference: BackboneReference, path: str | Path | None = None) -> Backbone:
    """Load the backbone that a saved model or run refers to, and prove that it is the same one.

    Args:
        reference: What was written down.
        path: Where the backbone's folder lies now, if it moved.

    Raises:
        ArtifactError: The folder moved, or the weights found there are other ones.
    """
    if reference.kind == "module":
        raise ArtifactError(
            f"The backbone {reference.name!r} was a module of your own, which no file holds.",
            "build it in Python and hand it over as the backbone",
        )
    place = path if path is not None else reference.path
    if place is not None and not Path(place).is_dir():
        raise ArtifactError(
            f"The backbone {reference.name!r} is not at {place}.",
            "say where its folder lies now with --backbone-path FOLDER",
        )
    backbone = load_backbone(reference.name, image_size=reference.image_size, path=place)
    if backbone.reference.digest != reference.digest:
        raise ArtifactError(
            f"The backbone {reference.name!r} has other weights than the one used before: digest "
            f"{backbone.reference.digest} found, {reference.digest} expected.",
            "point --backbone-path at the folder with the original weights",
        )
    return backbone


def _load_folder(folder: Path, image_size: int | None) -> Backbone:
    path = folder / "config.json"
    if not path.is_file():
        raise BackboneError(
            f"{folder} holds no config.json.",
            "a backbone folder holds config.json and model.safetensors, as timm or transformers write them",
        )
    try:
        configuration = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackboneError(f"{path} cannot be read: {error}", "the file must be JSON") from error
    if "architecture" in configuration:
        from cutpoint.backbones.from_timm import from_timm

        return from_timm(folder, image_size=image_size)
    raise BackboneError(
        f"{path} names neither a timm architecture nor a transformers model_type.",
        "a backbone folder holds config.json and model.safetensors, as timm or transformers write them",
    )
