"""Backbones from timm, by hub name or from a local folder."""

from __future__ import annotations

import difflib
import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.backbones.backbone import Backbone, Block
from cutpoint.backbones.digest import weights_digest
from cutpoint.backbones.hub import is_cached, network_allowed, unreachable
from cutpoint.backbones.inputs import ImageInputs
from cutpoint.backbones.order import blocks_from_groups, watch_calls
from cutpoint.backbones.source_classes import imagenet_subsets, real_names, stored_classifier
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import BackboneError
from cutpoint.types import BackboneReference, ImagePreprocessing, Provenance

WEIGHTS_FILE = "model.safetensors"
_PREFIX = "timm:"


def from_timm(
    name_or_folder: str | Path, *, pretrained: bool = True, image_size: int | None = None
) -> Backbone:
    """Load a timm model as a backbone.

    Args:
        name_or_folder: A hub name ("mobilenetv2_100.ra_in1k", with or without "timm:" in front), or a
            folder with model.safetensors and config.json (`architecture`, perhaps `timm_kwargs`, and the
            preprocessing; or timm's own layout).
        pretrained: False draws random weights; nothing is read or downloaded.
        image_size: Pixels in place of the backbone's own input size; the resize scales with it.

    Raises:
        BackboneError: Unknown name, no network, a damaged folder, or weights of another architecture.
    """
    folder = Path(name_or_folder)
    if (folder / "config.json").is_file():
        return _from_folder(folder, pretrained=pretrained, image_size=image_size)
    return _from_hub(str(name_or_folder).removeprefix(_PREFIX), pretrained=pretrained, image_size=image_size)


def known_to_timm(name: str) -> bool:
    """Whether timm has an architecture of that name (a pretrained tag after a dot is not looked at)."""
    import_torchvision()
    import timm

    return bool(timm.is_model(name.removeprefix(_PREFIX).split(".")[0]))


def close_timm_names(name: str) -> list[str]:
    """Up to five timm names that look like the given one."""
    import_torchvision()
    import timm

    candidates = [*timm.list_models(), *timm.list_pretrained()]
    return difflib.get_close_matches(name.removeprefix(_PREFIX), candidates, n=5, cutoff=0.6)


def timm_repository(name: str) -> str | None:
    """The hub repository that holds the pretrained weights of a timm name, if any."""
    import_torchvision()
    import timm

    try:
        configuration = timm.get_pretrained_cfg(name.removeprefix(_PREFIX))
    except (RuntimeError, ValueError, KeyError):
        return None
    return (configuration.hf_hub_id or None) if configuration else None


def _from_hub(name: str, *, pretrained: bool, image_size: int | None) -> Backbone:
    import_torchvision()
    import timm

    if not timm.is_model(name.split(".")[0]):
        close = close_timm_names(name)
        raise BackboneError(
            f"timm knows no model {name!r}.",
            f"did you mean {', '.join(close)}?" if close else "timm.list_models() prints all names",
        )
    repository = timm_repository(name)
    if pretrained and repository is None:
        raise BackboneError(
            f"timm has no pretrained weights for {name!r}.",
            f"pretrained names: {', '.join(timm.list_pretrained(name.split('.')[0] + '*')[:8]) or 'none'}",
        )
    if pretrained and repository and not is_cached(repository) and not network_allowed():
        raise unreachable(name)
    try:
        module = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise unreachable(name, error) from error
    build = partial(_build, name, {}, image_size)
    provenance = Provenance(
        licence=module.pretrained_cfg.get("license"),
        trained_on=_training_data(str(module.pretrained_cfg.get("tag") or "")),
        source=f"https://huggingface.co/{repository}" if repository else None,
    )
    reference = {"name": name, "path": None}
    backbone = _assemble(module, reference, module.pretrained_cfg, image_size, provenance, build)
    return (
        replace(backbone, source_classes=_source_classes(module.pretrained_cfg)) if pretrained else backbone
    )


def _from_folder(folder: Path, *, pretrained: bool, image_size: int | None) -> Backbone:
    configuration = _read_configuration(folder)
    architecture = configuration["architecture"]
    arguments = {**configuration.get("model_args", {}), **configuration.get("timm_kwargs", {})}
    if "global_pool" in configuration:
        arguments.setdefault("global_pool", configuration["global_pool"])
    arguments.pop("num_classes", None)
    if not known_to_timm(architecture):
        raise BackboneError(
            f"timm knows no architecture {architecture!r}, named in {folder / 'config.json'}.",
            f"did you mean {', '.join(close_timm_names(architecture)) or 'another one'}?",
        )
    module: Any = _build(architecture, arguments, None)
    stated = {**configuration, **configuration.get("pretrained_cfg", {})}
    if pretrained:
        _load_weights(module, folder, stated)
    provenance = Provenance(
        licence=stated.get("licence") or stated.get("license"),
        trained_on=stated.get("trained_on"),
        source=stated.get("source_repo") or stated.get("origin_url"),
    )
    reference = {"name": folder.resolve().name, "path": str(folder.resolve())}
    build = partial(_build, architecture, arguments, image_size)
    merged = {**module.pretrained_cfg, **stated}
    backbone = _assemble(module, reference, merged, image_size, provenance, build)
    if not pretrained:
        return backbone
    return replace(
        backbone,
        source_classes=_source_classes(stated),
        source_scores=_source_scores(module, folder, stated, backbone.width),
    )


def _read_configuration(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        configuration = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BackboneError(
            f"{path} cannot be read: {error}", "give a folder that timm or cutpoint wrote"
        ) from error
    if not isinstance(configuration, dict) or not isinstance(configuration.get("architecture"), str):
        raise BackboneError(
            f"{path} names no architecture.", 'add "architecture": "<a timm model name>" to the file'
        )
    return configuration


def _build(architecture: str, arguments: Mapping[str, Any], image_size: int | None) -> nn.Module:
    """The architecture with random weights, set to the input size that was asked for."""
    import_torchvision()
    import timm

    try:
        module: nn.Module = timm.create_model(architecture, pretrained=False, num_classes=0, **arguments)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise BackboneError(
            f"timm cannot build {architecture!r} with {dict(arguments)}: {error}",
            "check architecture and timm_kwargs in config.json",
        ) from error
    _set_input_size(module, image_size)
    return module


def _set_input_size(module: nn.Module, image_size: int | None) -> None:
    """Tell the models that are built for one size (ViT, Swin, …); others take any."""
    resize: Callable[..., None] | None = getattr(module, "set_input_size", None)
    if image_size is None or resize is None:
        return
    try:
        resize(img_size=(image_size, image_size))
    except (AssertionError, ValueError, RuntimeError) as error:
        raise BackboneError(
            f"This backbone cannot take images of {image_size} pixels: {error}",
            "choose a multiple of its patch and window size, or leave the image size out",
        ) from error


def _load_weights(module: nn.Module, folder: Path, stated: Mapping[str, Any]) -> None:
    """Read model.safetensors; only the classifier's keys may be left over."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise BackboneError(f"{folder} holds no {WEIGHTS_FILE}.", "save the weights there as safetensors")
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BackboneError(
            f"{path} cannot be read: {error}", "the file is damaged; fetch it again"
        ) from error
    classifiers = _classifier_names(module, stated)
    weights = {name: value for name, value in weights.items() if name.rpartition(".")[0] not in classifiers}
    try:
        missing, unexpected = module.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise BackboneError(
            f"The weights in {path} do not fit the architecture: {' '.join(str(error).split())[:400]}",
            "architecture and timm_kwargs in config.json must be those of the weights",
        ) from error
    if missing or unexpected:
        raise BackboneError(
            f"The weights in {path} do not fit the architecture: missing {missing[:5]} "
            f"({len(missing)} in all), unexpected {unexpected[:5]} ({len(unexpected)} in all).",
            "architecture and timm_kwargs in config.json must be those of the weights",
        )


def _classifier_names(module: Any, stated: Mapping[str, Any]) -> set[str]:
    """Module paths of the classifier, which a backbone goes without."""
    names: set[str] = set()
    for source in (stated, module.pretrained_cfg):
        named = source.get("classifier") or ()
        names |= {named} if isinstance(named, str) else set(named)
    return names


def _assemble(
    module: Any,
    named: Mapping[str, str | None],
    configuration: Mapping[str, Any],
    image_size: int | None,
    provenance: Provenance,
    rebuild: Callable[[], nn.Module],
) -> Backbone:
    _set_input_size(module, image_size)
    preprocessing = _preprocessing(configuration, image_size)
    blocks, width = _blocks_and_width(module, preprocessing)
    module.eval()
    return Backbone(
        reference=BackboneReference(
            kind="timm", **named, image_size=image_size, digest=weights_digest(module)
        ),
        module=module,
        blocks=blocks,
        inputs=ImageInputs(preprocessing),
        width=width,
        provenance=provenance,
        rebuild=rebuild,
    )


def _blocks_and_width(module: Any, preprocessing: ImagePreprocessing) -> tuple[tuple[Block, ...], int]:
    from timm.models import group_parameters

    inputs = ImageInputs(preprocessing).noise(1)
    try:
        calls = watch_calls(module, inputs)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise BackboneError(
            f"The network does not run on {preprocessing.size[0]} × {preprocessing.size[1]} pixels: {error}",
            "leave the image size out, or choose one that the architecture allows",
        ) from error
    if calls.output.ndim != 2:
        raise BackboneError(
            f"The network gives features of shape {tuple(calls.output.shape)} instead of one row an image.",
            "choose a pooling in timm_kwargs (global_pool)",
        )
    groups = group_parameters(module, module.group_matcher(coarse=False))
    return blocks_from_groups(module, [("", names) for names in groups.values()], calls), int(
        calls.output.shape[1]
    )


def _preprocessing(configuration: Mapping[str, Any], image_size: int | None) -> ImagePreprocessing:
    """timm's own evaluation pipeline as a record."""
    from timm.data import resolve_data_config

    resolved = resolve_data_config(pretrained_cfg=dict(configuration))
    size = (image_size, image_size) if image_size else tuple(resolved["input_size"][1:])
    scaled = tuple(math.floor(side / resolved["crop_pct"]) for side in size)
    if resolved["crop_mode"] not in ("center", "squash") or (
        resolved["crop_mode"] == "center" and scaled[0] != scaled[1]
    ):
        raise BackboneError(
            f"The backbone's preprocessing is not supported: crop mode {resolved['crop_mode']!r} to "
            f"{size[0]} × {size[1]} pixels.",
            "choose an image size, which makes the input square, or another backbone",
        )
    return ImagePreprocessing(
        size=size,
        resize=scaled if resolved["crop_mode"] == "squash" else scaled[0],
        interpolation=resolved["interpolation"],
        decoding="reduced",
        mean=tuple(resolved["mean"]),
        std=tuple(resolved["std"]),
        made_by="timm",
    )


def _source_classes(stated: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the classes of all pretraining that the configuration states: its own, or those of ImageNet.

    An architecture's usual configuration would not do: other weights may lie in the folder.
    """
    own = real_names(stated.get("label_descriptions"))
    if own:
        return own
    import_torchvision()
    from timm.data import infer_imagenet_subset

    trained_on = stated.get("trained_on") or _training_data(str(stated.get("tag") or ""))
    subsets = dict.fromkeys([*imagenet_subsets(trained_on), infer_imagenet_subset(dict(stated))])
    found = [_imagenet_classes(subset) for subset in subsets if subset]
    if len(found) == 1:  # one name an output, in their order: two classes of ImageNet share one
        return found[0]
    return tuple(dict.fromkeys(name for names in found for name in names))


def _source_scores(
    module: Any, folder: Path, stated: Mapping[str, Any], width: int
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]] | None:
    """The classifier that the folder's weights still hold, where there is just one."""
    names = sorted(_classifier_names(module, stated))
    return stored_classifier(folder / WEIGHTS_FILE, names[0], width) if len(names) == 1 else None


@functools.cache
def _imagenet_classes(subset: str) -> tuple[str, ...]:
    from timm.data import ImageNetInfo

    return tuple(ImageNetInfo(subset).label_descriptions())


def _training_data(tag: str) -> str | None:
    """Training data as far as a timm tag says it."""
    known = {
        "in1k": "ImageNet-1k",
        "in12k": "ImageNet-12k",
        "in21k": "ImageNet-21k",
        "in22k": "ImageNet-22k",
        "laion2b": "LAION-2B",
        "lvd142m": "LVD-142M",
    }
    found = [name for key, name in known.items() if key in tag.split("_") or tag.endswith(key)]
    return ", then ".join(found) if found else None
