"""Image networks and loaders as the peers' own guides build them, from the same weights for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from . import torchvision_import  # noqa: F401
from .job import Job
from .preprocessing import facts, transform

import timm  # isort: skip

LAST_STAGES = ("blocks.5", "blocks.6", "conv_head", "bn2", "classifier")
"""What trains in partial fine-tuning of MobileNetV2: the last two stages and what stands above them."""
WORKERS = 2


def pretrained(job: Job) -> dict[str, Any]:
    """Keywords of `timm.create_model` that load the folder's weights."""
    declared = facts(job)
    kwargs = {name: value for name, value in declared["timm_kwargs"].items() if name != "num_classes"}
    overlay = {name: declared[name] for name in ("mean", "std", "input_size", "interpolation", "crop_pct")}
    overlay |= {"file": str(Path(job.weights) / "model.safetensors")}
    return {**kwargs, "pretrained": True, "pretrained_cfg_overlay": overlay}


def architecture(job: Job) -> str:
    """Timm's name of the network."""
    return str(facts(job)["architecture"])


def network(job: Job) -> nn.Module:
    """The pretrained network with a new head; only what the regime trains has gradients."""
    model: nn.Module = timm.create_model(architecture(job), num_classes=len(job.labels), **pretrained(job))
    for name, parameter in model.named_parameters():
        parameter.requires_grad = trains(job.regime, name)
    return model


def trains(regime: str, parameter: str) -> bool:
    """Whether a parameter of that name trains."""
    parts = {"probe": ("classifier",), "partial": LAST_STAGES, "full": ("",)}[regime]
    return parameter.startswith(parts)


class Pictures(Dataset[tuple[Tensor, int]]):
    """Decoded, resized and normalised files of a split, with their classes."""

    def __init__(self, job: Job, split: str, transform: Callable[[Any], Tensor]) -> None:
        self.paths, self.targets, self.transform = job.inputs_of(split), job.targets_of(split), transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[index]) as picture:
            return self.transform(picture.convert("RGB")), self.targets[index]


def pictures(job: Job, split: str) -> Pictures:
    """A split under the preprocessing that the weights declare."""
    return Pictures(job, split, transform(job))


def loader(job: Job, split: str) -> DataLoader[Any]:
    """Batches, shuffled where they train."""
    return DataLoader(
        pictures(job, split), batch_size=job.batch_size, shuffle=split == "train", num_workers=WORKERS
    )


@torch.inference_mode()
def answers(model: nn.Module, batches: Iterable[Any]) -> list[int]:
    """Class numbers of (pictures, …) batches; the network is left in the mode that it was in."""
    was_training = model.training
    model.eval()
    found = [int(number) for batch in batches for number in model(batch[0]).argmax(1)]
    model.train(was_training)
    return found
