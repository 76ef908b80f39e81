"""One door to every backbone: a name, a folder or a module in, a Backbone out."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import NamedTuple

from torch import nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.builtin import load_builtin
from cutpoint.backbones.table import AUTO, BUILTIN_NAMES, automatic_backbone, known_backbones
from cutpoint.errors import ArtifactError, BackboneError
from cutpoint.types import BackboneReference, Modality, Readout

_READ: dict[Modality, tuple[str, ...]] = {
    "image": ("image", "statistics"),
    "text": ("text", "tfidf"),
    "features": ("vector",),
    "signal": ("signal",),
}
"""Kinds of preprocessing that take each kind of data."""
_WORDS: dict[Modality, str] = {
    "image": "images",
    "text": "texts",
    "features": "rows of numbers",
    "signal": "signals",
}


def load_backbone(
    spec: str | Path | nn.Module | Backbone,
    *,
    image_size: int | None = None,
    readout: Readout = "pooled",
    max_length: int | None = None,
    path: str | Path | None = None,
    modality: Modality | None = None,
) -> Backbone:
    """Load a backbone.

    Args:
        spec: A hub name ("mobilenetv2_100.ra_in1k", "timm:…", "hf:owner/model"), "builtin:glyphs", "auto" for
            the smallest one of the table that can be had, a local folder, or a Backbone, returned as it is.
        image_size: Pixels in place of the backbone's own input size.
        readout: What a model of texts puts out: a row a text, a row a word, or the next token's logits.
        max_length: Tokens in place of a text model's own limit.
        path: A local folder to read instead of what `spec` says.
        modality: What the data are: "auto" chooses for it (images if None), another kind of backbone is refused.

    Raises:
        BackboneError: The backbone is unknown, cannot be reached or read, or is made for other data; the hint
            says what can be done.
    """
    if isinstance(spec, nn.Module):
        raise BackboneError(
            "A module of your own comes without preprocessing.",
            "wrap it: cutpoint.backbones.from_module.from_module(module, preprocessing=…)",
        )
    if isinstance(spec, Backbone):
        backbone = spec
        _check_readout(backbone, readout)
    else:
        options = _Options(image_size, readout, max_length)
        folder = Path(path if path is not None else spec)
        if path is not None or folder.is_dir():
            backbone = _load_folder(folder, options)
        else:
            name = automatic_backbone(modality or "image", readout) if spec == AUTO else str(spec)
            backbone = _load_name(name, options)
    if modality is not None:
        _check_modality(backbone, modality)
    return backbone


def check_name(spec: str | Path | nn.Module | Backbone) -> None:
    """Raise a BackboneError where no backbone can be called that; whether it can be had shows when it is loaded."""
    if isinstance(spec, (nn.Module, Backbone)) or Path(spec).is_dir():
        return
    name = str(spec)
    if name.startswith("builtin:") and name not in BUILTIN_NAMES:
        raise _unknown(name)
    if name != AUTO and not name.startswith(("builtin:", "hf:")) and not _is_of_timm(name):
        raise _unknown(name)


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
    backbone = load_backbone(
        reference.name,
        image_size=reference.image_size,
        readout=reference.readout,
        max_length=reference.max_length,
        path=place,
    )
    if backbone.reference.digest != reference.digest:
        raise ArtifactError(
            f"The backbone {reference.name!r} has other weights than the one used before: digest "
            f"{backbone.reference.digest} found, {reference.digest} expected.",
            "install the version of this package that was used then"
            if reference.kind == "builtin"
            else "point --backbone-path at the folder with the original weights",
        )
    return backbone


class _Options(NamedTuple):
    """What is asked for in place of a backbone's own choice."""

    image_size: int | None
    readout: Readout
    max_length: int | None

    def refuse_for_texts(self, name: str) -> None:
        """Raises BackboneError if an option is meant for texts, which this backbone does not read."""
        if self.readout != "pooled" or self.max_length is not None:
            raise BackboneError(
                f"{name} reads no texts.",
                "name an encoder or a language model: a folder, or hf:OWNER/MODEL of the Hugging Face hub",
            )


def _check_readout(backbone: Backbone, readout: Readout) -> None:
    if backbone.reference.readout != readout:
        raise BackboneError(
            f"{backbone.name} was loaded to put out {backbone.reference.readout!r}, and {readout!r} is needed.",
            f"give its name or folder, or load it with readout={readout!r}",
        )


def _check_modality(backbone: Backbone, modality: Modality) -> None:
    if backbone.preprocessing.kind not in _READ[modality]:
        reads = next(name for name, kinds in _READ.items() if backbone.preprocessing.kind in kinds)
        raise BackboneError(
            f"The data are {_WORDS[modality]}, and {backbone.name} reads {_WORDS[reads]}.",
            f"choose a backbone for {_WORDS[modality]}; `cutpoint list backbones` shows some",
        )


def _load_name(name: str, options: _Options) -> Backbone:
    if name.startswith("builtin:"):
        options.refuse_for_texts(name)
        if options.image_size is not None:
            raise BackboneError(
                f"{name} takes one input size only.", "leave the image size out for this backbone"
            )
        return load_builtin(name)
    if name.startswith("hf:"):
        from cutpoint.backbones.from_transformers import from_transformers

        return from_transformers(name, **options._asdict())
    if _is_of_timm(name):
        from cutpoint.backbones.from_timm import from_timm

        options.refuse_for_texts(name)
        return from_timm(name, image_size=options.image_size)
    raise _unknown(name)


def _is_of_timm(name: str) -> bool:
    from cutpoint.backbones.from_timm import known_to_timm

    return known_to_timm(name)


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


def _load_folder(folder: Path, options: _Options) -> Backbone:
    configuration = _configuration(folder)
    if "architecture" in configuration:
        from cutpoint.backbones.from_timm import from_timm

        options.refuse_for_texts(str(folder))
        return from_timm(folder, image_size=options.image_size)
    if "model_type" in configuration:
        from cutpoint.backbones.from_transformers import from_transformers

        return from_transformers(folder, **options._asdict())
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
