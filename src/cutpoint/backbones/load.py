"""One door to every backbone: a name, a folder or a module in, a Backbone out."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from torch import nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.builtin import load_builtin
from cutpoint.backbones.table import AUTO, BUILTIN_NAMES, automatic_backbone, known_backbones
from cutpoint.errors import ArtifactError, BackboneError
from cutpoint.types import BackboneReference


def load_backbone(
    spec: str | Path | nn.Module | Backbone, *, image_size: int | None = None, path: str | Path | None = None
) -> Backbone:
    """Load a backbone.

    Args:
        spec: A hub name ("mobilenetv2_100.ra_in1k", "timm:…", "hf:owner/model"), "builtin:glyphs", "auto" for
            the smallest one of the table that can be had, a local folder, or a Backbone, returned as it is.
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
    folder = Path(path if path is not None else spec)
    if path is not None or folder.is_dir():
        return _load_folder(folder, image_size)
    return _load_name(automatic_backbone() if spec == AUTO else str(spec), image_size)


def load_reference(reference: BackboneReference, path: str | Path | None = None) -> Backbone:
    """Load the backbone that a saved model or run refers to, and prove that it is the same one.

    Args:
        reference: What was written down.
        path: Where the backbone's folder lies now, if it moved.

    Raises:
        ArtifactError: The folder moved, or the weights found there are other ones.
        BackboneError: What was found cannot be read.
    """
    if reference.kind in ("module", "none"):
        raise ArtifactError(
            f"The backbone {reference.name!r} was built in Python; no file holds it.",
            "build it again and hand it over as the backbone",
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
            "install the version of this package that was used then"
            if reference.kind == "builtin"
            else "point --backbone-path at the folder with the original weights",
        )
    return backbone


def _load_name(name: str, image_size: int | None) -> Backbone:
    if name.startswith("builtin:"):
        if image_size is not None:
            raise BackboneError(
                f"{name} takes one input size only.", "leave the image size out for this backbone"
            )
        return load_builtin(name)
    if name.startswith("hf:"):
        from cutpoint.backbones.from_transformers import from_transformers

        return from_transformers(name, image_size=image_size)
    from cutpoint.backbones.from_timm import from_timm, known_to_timm

    if known_to_timm(name):
        return from_timm(name, image_size=image_size)
    raise _unknown(name)


def _unknown(name: str) -> BackboneError:
    from cutpoint.backbones.from_timm import close_timm_names

    known = [row.loads for row in known_backbones() if row.loads] + list(BUILTIN_NAMES)
    close = list(dict.fromkeys(difflib.get_close_matches(name, known, n=3) + close_timm_names(name)))
    if any(separator in name for separator in "/\\") and not name.startswith("timm:"):
        return BackboneError(
            f"There is no folder {name!r}, and no backbone of that name.",
            f"check the path; a model on the Hugging Face hub is written hf:{name.strip('./')}",
        )
    return BackboneError(
        f"There is no backbone {name!r}.",
        f"did you mean {', '.join(close)}?" if close else "`cutpoint list backbones` shows some",
    )


def _load_folder(folder: Path, image_size: int | None) -> Backbone:
    configuration = _configuration(folder)
    if "architecture" in configuration:
        from cutpoint.backbones.from_timm import from_timm

        return from_timm(folder, image_size=image_size)
    if "model_type" in configuration:
        from cutpoint.backbones.from_transformers import from_transformers

        return from_transformers(folder, image_size=image_size)
    raise BackboneError(
        f"{folder / 'config.json'} names neither a timm architecture nor a transformers model_type.",
        "a backbone folder holds config.json and model.safetensors, as timm or transformers write them",
    )


def _configuration(folder: Path) -> dict[str, object]:
    path = folder / "config.json"
    try:
        configuration = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BackboneError(
            f"{folder} holds no config.json.",
            "a backbone folder holds config.json and model.safetensors, as timm or transformers write them",
        ) from error
    except (OSError, ValueError) as error:
        raise BackboneError(f"{path} cannot be read: {error}", "the file must be valid JSON") from error
    if not isinstance(configuration, dict):
        raise BackboneError(f"{path} holds no JSON object.", "fetch the backbone's folder again")
    return configuration
