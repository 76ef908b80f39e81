"""Image models of transformers as backbones."""

from __future__ import annotations

import functools
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.digest import weights_digest
from cutpoint.backbones.from_transformers.blocks import image_groups
from cutpoint.backbones.from_transformers.loading import Place, first_line, load_weights, refuse_misfits
from cutpoint.backbones.inputs import ImageInputs
from cutpoint.backbones.order import Calls, blocks_from_groups, watch_calls
from cutpoint.backbones.preprocessing import normalise, prepare
from cutpoint.backbones.source_classes import real_names
from cutpoint.errors import BackboneError
from cutpoint.types import BackboneReference, ImagePreprocessing

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


def image_backbone(place: Place, *, image_size: int | None = None) -> Backbone:
    """An image model as a backbone.

    Features are the trained pooler's output, or else the class token, or else the mean over space.

    Args:
        place: Where it lies.
        image_size: Pixels in place of the backbone's own input size; the resize scales with it.

    Raises:
        BackboneError: A damaged folder, or a preprocessing that cannot be reproduced exactly.
    """
    encoder, untrained = _load_encoder(place)
    processor = _load_processor(place)
    own = _preprocessing(processor)
    _check_preprocessing(own, processor)
    preprocessing = _scaled(own, image_size)
    module = _pooled(encoder, without_pooler=untrained, any_size=image_size is not None)
    calls = _run_once(module, preprocessing)
    return Backbone(
        reference=BackboneReference(
            kind="transformers",
            name=place.called,
            path=place.path,
            image_size=image_size,
            digest=weights_digest(module),
        ),
        module=module,
        blocks=blocks_from_groups(module, image_groups(module), calls),
        inputs=ImageInputs(preprocessing),
        width=int(calls.output.shape[1]),
        provenance=place.provenance,
        rebuild=partial(_rebuild, encoder.config, without_pooler=untrained, any_size=image_size is not None),
        source_classes=real_names(getattr(encoder.config, "id2label", None)),
    )


def _load_encoder(place: Place) -> tuple[Any, bool]:
    """The network, and whether it has a pooler without trained weights."""
    from transformers import AutoModel

    model, report = load_weights(place, AutoModel)
    missing = [key for key in report["missing_keys"] if "pooler" not in key.split(".")]
    unexpected = [key for key in report["unexpected_keys"] if not set(key.split(".")[:2]) & set(_HEADS)]
    refuse_misfits(place, missing, unexpected, report["mismatched_keys"])
    return _image_tower(model), len(missing) < len(report["missing_keys"])


def _image_tower(model: Any) -> Any:
    """The part that sees: models of images and text (CLIP, SigLIP) hold it as `vision_model`."""
    return getattr(model, "vision_model", model)


def _load_processor(place: Place) -> Any:
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(
            place.name, backend="pil", local_files_only=place.files_only
        )
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"{place.name} comes without a readable image processor: {first_line(error)}",
            "a folder needs preprocessor_config.json beside the weights (AutoImageProcessor…save_pretrained)",
        ) from error


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
            f"{preprocessing.size[1]} pixels): {first_line(error)}",
            "choose an image model, and leave the image size out or choose one that it allows",
        ) from error


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
        decoding="reduced",
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
