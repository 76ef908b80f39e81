"""The floor for images: the best loops that one would write by hand on this machine.

Frozen: pictures decoded ahead of the network, BatchNorm folded into the convolutions, channels-last, tuned allocator,
one forward pass, a logistic head; or the same through OpenVINO. Partial: that pass up to the last two stages, then
epochs over what it put out. Full: all of it. Where something trains: channels-last, tuned allocator, fused AdamW, no
step that waits for the value of its loss.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from benchmarks.peers.job import Job, Track, contend
from benchmarks.peers.preprocessing import facts
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.runtime import tune_allocator

from . import decoding

Forward = Callable[[Tensor], Tensor]
"""Pictures (B, 3, H, W) → features (B, width) or logits."""


def run(job: Job, track: Track) -> None:
    """The frozen pass and a head, or epochs of the top or of everything."""
    tune_allocator()
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    {"probe": train_head, "partial": train_top, "full": train_everything}[job.regime](job, track)


def train_head(job: Job, track: Track) -> None:
    """Features once, then a logistic head on scaled features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    forward = converted(job) if job.options["engine"] == "OpenVINO" else fold(network(job, 0).eval())
    features = outputs(job, "train", forward)
    track.measures["features"] = track.elapsed
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    head.fit(features, job.targets_of("train"))
    track.epoch_ends(job.epochs, lambda: head.predict(outputs(job, "test", forward)))


def train_top(job: Job, track: Track) -> None:
    """Epochs over what is above the first stages, from their outputs."""
    lower, _ = parted(fold(network(job, 0).eval()))
    _, upper = parted(network(job, len(job.labels)).eval())
    below = torch.from_numpy(outputs(job, "train", lower))

    def read(order: Sequence[int]) -> Iterator[tuple[Sequence[int], Tensor]]:
        for start in range(0, len(order), job.batch_size):
            places = order[start : start + job.batch_size]
            yield places, below[places].contiguous(memory_format=torch.channels_last)

    train(job, track, upper, read, lambda pictures: upper(lower(pictures)))


def train_everything(job: Job, track: Track) -> None:
    """Epochs over all blocks."""
    model, paths = network(job, len(job.labels)).eval(), job.inputs_of("train")
    train(job, track, model, lambda order: decoding.batches(job, paths, order), model)


def train(
    job: Job,
    track: Track,
    model: nn.Module,
    read: Callable[[Sequence[int]], Iterable[tuple[Sequence[int], Tensor]]],
    answer: Forward,
) -> None:
    """Epochs over a network, BatchNorm on its running statistics.

    Args:
        job: Says how many.
        track: Hears of them.
        model: What trains.
        read: Rows in an order → batches of their places and what the model takes.
        answer: Pictures → logits.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=job.rate, fused=True)
    targets = torch.tensor(job.targets_of("train"))
    track.training_starts()
    for epoch in range(1, job.epochs + 1):
        order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(epoch)).tolist()
        for places, inputs in read(order):
            nn.functional.cross_entropy(model(inputs), targets[places]).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        track.epoch_ends(epoch, lambda: outputs(job, "test", answer).argmax(1).tolist())


@torch.inference_mode()
def outputs(job: Job, split: str, forward: Forward) -> np.ndarray:
    """(rows, width) of a split."""
    paths = job.inputs_of(split)
    return np.concatenate(
        [forward(pictures).numpy() for _, pictures in decoding.batches(job, paths, range(len(paths)))]
    )


def network(job: Job, classes: int) -> nn.Module:
    """The pretrained network in channels-last layout; without classes it puts out features."""
    import timm

    declared = facts(job)
    kwargs = {name: value for name, value in declared["timm_kwargs"].items() if name != "num_classes"}
    model: nn.Module = timm.create_model(declared["architecture"], num_classes=classes, **kwargs)
    weights = load_file(f"{job.weights}/model.safetensors")
    known = {name: values for name, values in weights.items() if not name.startswith("classifier")}
    missing = model.load_state_dict(known, strict=False).missing_keys
    if any(not name.startswith("classifier") for name in missing):
        raise ValueError(f"The weights lack {missing}.")
    return model.to(memory_format=torch.channels_last)


def parted(model: Any) -> tuple[nn.Sequential, nn.Sequential]:
    """What lies below the last two stages, and the rest."""
    lower = nn.Sequential(model.conv_stem, model.bn1, *model.blocks[:5])
    head = (model.conv_head, model.bn2, model.global_pool, model.classifier)
    return lower, nn.Sequential(*model.blocks[5:], *head)


def fold(model: nn.Module) -> nn.Module:
    """The network with every BatchNorm folded into the convolution that stands before it, changed in place."""
    for parent in list(model.modules()):
        before = ""
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, before, fuse_conv_bn_eval(getattr(parent, before), child))
                setattr(parent, name, child.act)  # timm's BatchNorm holds the activation
            before = name
    return model.to(memory_format=torch.channels_last)


def converted(job: Job) -> Forward:
    """The same through OpenVINO, conversion included."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it reports its use otherwise
    import openvino

    example = torch.zeros(1, 3, job.image_size, job.image_size)
    graph = openvino.convert_model(network(job, 0).eval(), example_input=example)
    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_NUM_THREADS": job.threads})
    return lambda pictures: torch.from_numpy(compiled(pictures.contiguous().numpy())[0])


if __name__ == "__main__":
    import_torchvision()
    import timm

    contend(run, ("torch", timm.__name__, "scikit-learn"))
