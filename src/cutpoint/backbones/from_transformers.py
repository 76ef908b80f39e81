"""Backbones from transformers, by hub name or from a folder that save_pretrained wrote."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.digest import weights_digest
from cutpoint.backbones.hub import is_cached, network_allowed, unreachable
from cutpoint.backbones.inputs import ImageInputs
from cutpoint.backbones.order import Calls, blocks_from_groups, watch_calls
from cutpoint.backbones.preprocessing import normalise, prepare
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import BackboneError
from cutpoint.types import BackboneReference, ImagePreprocessing, Provenance

_PREFIX = "hf:"
_HEADS = ("classifier", "cls_classifier", "distillation_classifier", "head", "decoder", "mask_token")
"""First parts of the names of weights that serve another task: left out knowingly."""
_INTERPOLATION = {
    Image.Resampling.NEAREST: "nearest",
    Image.Resampling.BILINEAR: "bilinear",
    Image.Resampling.BICUBIC: "bicubic",
    Image.Resampling.LANCZOS: "lanczos",
    Image.Resampling.BOX: "box",
    Image.Resampling.HAMMING: "hamming",
}
_TRIAL_SIZES = ((61, 40), (301, 229), (226, 311), (448, 448))
"""Sizes (width, height) of the noise on which our preprocessing is compared with the library's."""
_TOLERANCE = 1e-5


def from_transformers(name_or_folder: str | Path, *, image_size: int | None = None) -> Backbone:
    """Load an image model of transformers as a backbone.

    Features are the trained pooler's output, or else the class token, or else the mean over space.

    Args:
        name_or_folder: A hub name ("google/vit-base-patch16-224", with or without "hf:" in front), or a
            folder that holds config.json, model.safetensors and preprocessor_config.json.
        image_size: Pixels in place of the backbone's own input size; the resize scales with it.

    Raises:
        BackboneError: Unknown name, no network, a damaged folder, not an image model, or a preprocessing that
            cannot be reproduced exactly.
    """
    import_torchvision()
    folder = Path(name_or_folder)
    local = (folder / "config.json").is_file()
    name = str(folder.resolve()) if local else str(name_or_folder).removeprefix(_PREFIX)
    if not local and not is_cached(name) and not network_allowed():
        raise unreachable(f"{_PREFIX}{name}")
    encoder, untrained = _load_encoder(name, local)
    processor = _load_processor(name, local)
    own = _preprocessing(processor)
    _check_preprocessing(own, processor)
    preprocessing = _scaled(own, image_size)
    module = _pooled(encoder, without_pooler=untrained, any_size=image_size is not None)
    calls = _run_once(module, preprocessing)
    return Backbone(
        reference=BackboneReference(
            kind="transformers",
            name=folder.resolve().name if local else f"{_PREFIX}{name}",
            path=name if local else None,
            image_size=image_size,
            digest=weights_digest(module),
        ),
        module=module,
        blocks=blocks_from_groups(module, _groups(module), calls),
        inputs=ImageInputs(preprocessing),
        width=int(calls.output.shape[1]),
        provenance=Provenance(source=None if local else f"https://huggingface.co/{name}"),
        rebuild=partial(_rebuild, encoder.config, without_pooler=untrained, any_size=image_size is not None),
    )


def _load_encoder(name: str, local: bool) -> tuple[Any, bool]:
    """The network, and whether it has a pooler without trained weights."""
    from transformers import AutoModel

    try:
        with _quiet():
            model, report = AutoModel.from_pretrained(
                name,
                dtype=torch.float32,
                output_loading_info=True,
                local_files_only=local or not network_allowed(),
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise _not_loaded(name, local, error) from error
    missing = [key for key in report["missing_keys"] if "pooler" not in key.split(".")]
    unexpected = [key for key in report["unexpected_keys"] if not set(key.split(".")[:2]) & set(_HEADS)]
    if missing or unexpected or report["mismatched_keys"]:
        raise BackboneError(
            f"The weights of {name} do not fit its config.json: missing {missing[:5]}, unexpected "
            f"{unexpected[:5]}, of another shape {list(report['mismatched_keys'])[:5]}.",
            "fetch config.json and model.safetensors again, from one place",
        )
    return _image_tower(model), len(missing) < len(report["missing_keys"])


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no report of left-out heads from transformers: ours is the error below."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _image_tower(model: Any) -> Any:
    """The part that sees: models of images and text (CLIP, SigLIP) hold it as `vision_model`."""
    return getattr(model, "vision_model", model)


def _load_processor(name: str, local: bool) -> Any:
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(
            name, backend="pil", local_files_only=local or not network_allowed()
        )
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"{name} comes without a readable image processor: {_first_line(error)}",
            "a folder needs preprocessor_config.json beside the weights (AutoImageProcessor…save_pretrained)",
        ) from error


def _not_loaded(name: str, local: bool, error: Exception) -> BackboneError:
    if not local and isinstance(error, OSError):
        return unreachable(f"{_PREFIX}{name}", error)
    return BackboneError(
        f"transformers cannot load {name}: {_first_line(error)}",
        "a folder needs config.json with a model_type that transformers knows, and model.safetensors",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


# ------------------------------------------------------------------------------------------------ network


@functools.cache
def _pooled_class(kind: type[nn.Module]) -> type[nn.Module]:
    """The model's own class with a forward that gives one row of features an image.

    A subclass keeps the module paths ("encoder.layer.3") and the names of the weights as they are published.
    """

    def forward(self: Any, inputs: Tensor) -> Tensor:
        output = kind.forward(self, pixel_values=inputs, **self.forward_arguments)
        pooled = getattr(output, "pooler_output", None)
        return _as_rows(self, output.last_hidden_state if pooled is None else pooled)

    return type(f"Pooled{kind.__name__}", (kind,), {"forward": forward})


def _as_rows(module: nn.Module, hidden: Tensor) -> Tensor:
    """(B, width) from a map (B, width, height, width), from tokens (B, tokens, width), or from rows."""
    if hidden.ndim == 4:
        return hidden.mean((2, 3))
    if hidden.ndim == 3:
        return hidden[:, 0] if _has_class_token(module) else hidden.mean(1)
    return hidden


def _has_class_token(module: nn.Module) -> bool:
    return any(
        name.split(".")[-1] in ("cls_token", "class_embedding") for name, _ in module.named_parameters()
    )


def _pooled(encoder: Any, *, without_pooler: bool, any_size: bool) -> nn.Module:
    if without_pooler:
        encoder.pooler = None
    takes_any_size = "interpolate_pos_encoding" in _argument_names(encoder)
    encoder.forward_arguments = {"interpolate_pos_encoding": True} if any_size and takes_any_size else {}
    encoder.__class__ = _pooled_class(encoder.__class__)
    encoder.eval()
    module: nn.Module = encoder
    return module


def _argument_names(encoder: Any) -> frozenset[str]:
    """Names that the network's forward, or the embeddings behind it, take."""
    import inspect

    parts = [encoder, getattr(encoder, "embeddings", None)]
    return frozenset(name for part in parts if part for name in inspect.signature(part.forward).parameters)


def _rebuild(configuration: Any, *, without_pooler: bool, any_size: bool) -> nn.Module:
    from transformers import AutoModel

    encoder = _image_tower(AutoModel.from_config(configuration))
    return _pooled(encoder, without_pooler=without_pooler, any_size=any_size)


def _run_once(module: nn.Module, preprocessing: ImagePreprocessing) -> Calls:
    inputs = ImageInputs(preprocessing).noise(1)
    try:
        return watch_calls(module, inputs)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise BackboneError(
            f"The network gives no features of images alone ({preprocessing.size[0]} × "
            f"{preprocessing.size[1]} pixels): {_first_line(error)}",
            "choose an image model, and leave the image size out or choose one that it allows",
        ) from error


def _groups(module: nn.Module) -> list[tuple[str, list[str]]]:
    """Parameters by block: one for each entry of the lists of layers, one for each part beside them.

    The outermost ModuleLists hold layers, or stages with layers of their own under "layers" or "blocks".
    """
    lists: list[str] = []
    for path, child in module.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in lists)
        of_stage = path.rpartition(".")[2] in ("layers", "blocks")
        outermost = isinstance(child, nn.ModuleList) and len(child) > 1 and not inside
        if outermost or (isinstance(child, nn.ModuleList | nn.Sequential) and inside and of_stage):
            lists.append(path)
    groups: dict[str, list[str]] = {}
    for name, _ in module.named_parameters():
        groups.setdefault(_group_of(name, lists), []).append(name)
    return list(groups.items())


def _group_of(name: str, lists: list[str]) -> str:
    """The shortest path above a parameter that holds no list: a list's entry, or a part beside the lists."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        path = ".".join(parts[:end])
        if not any(outer == path or outer.startswith(f"{path}.") for outer in lists):
            return path
    return ""


# ------------------------------------------------------------------------------------------ preprocessing


def _preprocessing(processor: Any) -> ImagePreprocessing:
    """The processor as a record; `_check_preprocessing` proves it."""
    resize, size = _sizes(processor)
    channels = 3
    return ImagePreprocessing(
        size=size,
        resize=resize,
        interpolation=_INTERPOLATION[Image.Resampling(processor.resample)],
        crop_rounding="down",
        mean=tuple(processor.image_mean) if processor.do_normalize else (0.0,) * channels,
        std=tuple(processor.image_std) if processor.do_normalize else (1.0,) * channels,
        made_by=f"transformers.{type(processor).__name__}",
    )


def _scaled(preprocessing: ImagePreprocessing, image_size: int | None) -> ImagePreprocessing:
    """The same recipe for inputs of another size: what is cut off keeps its proportion."""
    if image_size is None:
        return preprocessing
    short = min(preprocessing.size)
    resize: int | tuple[int, int]
    if isinstance(preprocessing.resize, int):
        resize = preprocessing.resize * image_size // short
    else:
        height, width = preprocessing.resize
        resize = (height * image_size // short, width * image_size // short)
    return preprocessing.model_copy(update={"size": (image_size, image_size), "resize": resize})


def _sizes(processor: Any) -> tuple[tuple[int, int] | int, tuple[int, int]]:
    """What to resize to, and the size of the input."""
    size = dict(processor.size)
    exact = (size["height"], size["width"]) if "height" in size else None
    short = size.get("shortest_edge")
    if getattr(processor, "do_center_crop", False):
        crop = dict(processor.crop_size)
        return (exact or int(size["shortest_edge"])), (crop["height"], crop["width"])
    crop_fraction = getattr(processor, "crop_pct", None)
    if short and crop_fraction:  # ConvNeXt: crops below 384 pixels, squeezes from there on
        return (int(short / crop_fraction) if short < 384 else (short, short)), (short, short)
    if exact:
        return exact, exact
    raise BackboneError(
        f"{type(processor).__name__} makes inputs of varying size ({size}).",
        "choose an image size that the backbone allows, or another backbone",
    )


def _check_preprocessing(preprocessing: ImagePreprocessing, processor: Any) -> None:
    """Compare our pipeline with the processor's on noise of several sizes.

    Raises:
        BackboneError: They differ; no prediction is better than one on wrong pixels.
    """
    random = np.random.default_rng(0)
    for width, height in _TRIAL_SIZES:
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        theirs = processor(image, return_tensors="np")["pixel_values"][0]
        ours = normalise(preprocessing, torch.from_numpy(prepare(preprocessing, image))[None])[0].numpy()
        if ours.shape != theirs.shape or np.abs(ours - theirs).max() > _TOLERANCE:
            raise BackboneError(
                f"The preprocessing of {type(processor).__name__} cannot be reproduced exactly.",
                "choose another backbone, or wrap the network with from_module and state its preprocessing",
            )
