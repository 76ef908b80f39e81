"""Backbones from transformers, by hub name or from a folder that save_pretrained wrote."""

from __future__ import annotations

from pathlib import Path

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.from_transformers.images import image_backbone
from cutpoint.backbones.from_transformers.loading import find, read_configuration
from cutpoint.backbones.from_transformers.texts import text_backbone
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import BackboneError
from cutpoint.types import Readout

__all__ = ["from_transformers"]


def from_transformers(
    name_or_folder: str | Path,
    *,
    image_size: int | None = None,
    readout: Readout = "pooled",
    max_length: int | None = None,
) -> Backbone:
    """Load a model of transformers as a backbone; its config.json says whether it reads images or texts.

    Args:
        name_or_folder: A hub name ("google/vit-base-patch16-224", with or without "hf:" in front), or a
            folder that holds config.json, model.safetensors and preprocessor_config.json or a tokenizer.
        image_size: Pixels in place of an image model's own input size; the resize scales with it.
        readout: What a model of texts puts out: a row a text, a row a word, or the next token's logits.
        max_length: Tokens in place of a text model's own limit.

    Raises:
        BackboneError: Unknown name, no network, a damaged folder, a model of neither images nor texts, an option
            that does not fit it, or a preprocessing that cannot be reproduced exactly.
    """
    import_torchvision()
    place = find(name_or_folder)
    configuration = read_configuration(place)
    if _sees(configuration.model_type):
        if readout != "pooled" or max_length is not None:
            raise BackboneError(
                f"{place.called} is an image model; it reads no text.", "name an encoder or a language model"
            )
        return image_backbone(place, image_size=image_size)
    if image_size is not None:
        raise BackboneError(
            f"{place.called} reads texts; it takes no image size.",
            "leave the image size out for this backbone",
        )
    return text_backbone(place, configuration, readout=readout, max_length=max_length)


def _sees(model_type: str) -> bool:
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    return model_type in IMAGE_PROCESSOR_MAPPING_NAMES
