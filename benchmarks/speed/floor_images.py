"""The floor for images: the best loops that one would write by hand on this machine.

Frozen: pictures decoded ahead of the network, BatchNorm folded into the convolutions, channels-last, tuned allocator,
one forward pass, a logistic head; or the same through OpenVINO. Full: channels-last, tuned allocator, fused AdamW, no
step that waits for the value of its loss.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

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
    """The frozen pass and a head, or an epoch of everything."""
    tune_allocator()
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    (train_head if job.regime == "probe" else train_everything)(job, track)


def train_head(job: Job, track: Track) -> None:
    """Features once, then a logistic head on scaled features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    forward = converted(job) if job.options["engine"] == "OpenVINO" else folded(job)
    features = outputs(job, "train", forward)
    track.measures["features"] = track.elapsed
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    head.fit(features, job.targets_of("train"))
    track.epoch_ends(job.epochs, lambda: head.predict(outputs(job, "test", forward)))


def train_everything(job: Job, track: Track) -> None:
    """Epochs over all blocks, BatchNorm on its running statistics."""
    model = network(job, len(job.labels)).eval()
    optimizer = torch.optim.AdamW(model.parameters(), lr=job.rate, fused=True)
    paths, targets = job.inputs_of("train"), torch.tensor(job.targets_of("train"))
    track.training_starts()
    for epoch in range(1, job.epochs + 1):
        order = torch.randperm(len(paths), generator=torch.Generator().manual_seed(epoch)).tolist()
        for places, pictures in decoding.batches(job, paths, order):
            nn.functional.cross_entropy(model(pictures), targets[places]).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        track.epoch_ends(epoch, lambda: outputs(job, "test", model).argmax(1).tolist())


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


def folded(job: Job) -> Forward:
    """The frozen network with every BatchNorm folded into the convolution that stands before it."""
    model = network(job, 0).eval()
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
