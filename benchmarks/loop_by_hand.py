"""The best training loop that one would write by hand, for the benchmark of Cutpoint's own."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cutpoint.adapters.adapter import Adapter
from cutpoint.adapters.inject import inject
from cutpoint.backbones.inputs import use_channels_last
from cutpoint.training.batches import batches, shuffled
from cutpoint.training.fit import FitData

JUDGED_AT_ONCE = 64
Positions = Any
Read = Callable[[Positions, bool], Tensor]


@dataclass(frozen=True)
class Settings:
    """What both sides do the same.

    Attributes:
        rate: Full learning rate; a tenth of the steps warm up to it, a cosine follows.
        decay: AdamW's weight decay.
        smoothing: Of labels.
        batch_size: Examples a step.
        epochs: Passes over the training rows.
        cut: Frozen blocks, whose output is read instead of computed; None: everything trains.
        crops: Whether training images are random crops.
        adapter: What is injected and trained with the head alone.
    """

    rate: float
    decay: float
    smoothing: float
    batch_size: int
    epochs: int
    warmup: float = 0.1
    cut: int | None = None
    crops: bool = False
    adapter: Adapter | None = None


class LoopByHand:
    """Plain PyTorch by one who knows the machine.

    Args:
        data: Rows and targets; everything that is read lies in memory before the clock starts.
        settings: What is done.
    """

    def __init__(self, data: FitData, settings: Settings) -> None:
        self.data = data
        self.settings = settings
        self.targets = torch.from_numpy(data.targets.astype(np.int64))
        self.lengths = data.bank.lengths
        bank, everything = data.bank, np.arange(len(data.bank.rows))
        if self.lengths is not None:
            self.texts = [bank.inputs.prepare(bank.dataset.inputs[int(row)]) for row in bank.rows]
        elif settings.cut is None:
            self.held = bank.prepared(everything)
        else:
            stored = bank.activations(settings.cut)
            assert stored is not None
            self.held = stored.read(everything, 0).contiguous(memory_format=torch.channels_last)

    def run(self, is_sorted: bool = True) -> float:
        """Train; returns the best validation loss.

        Args:
            is_sorted: Texts of like length share a batch, as in Cutpoint; else batches are padded as they come.
        """
        settings, read, network = self.settings, self._reader(), self._network()
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=settings.decay, fused=True)
        size, step, best, kept = settings.batch_size, 0, math.inf, network.state_dict()
        total = settings.epochs * len(list(batches(self.data.train, size, 0)))
        for epoch in range(settings.epochs):
            order = shuffled(self.data.train, size, 0, epoch, self.lengths if is_sorted else None)
            seen = torch.zeros(())
            for rows, inputs in _ahead(read, [rows for _, rows in batches(order, size, 0)]):
                optimizer.param_groups[0]["lr"] = settings.rate * _share(step, total, settings.warmup)
                loss = nn.functional.cross_entropy(
                    network(inputs), self.targets[rows], label_smoothing=settings.smoothing
                )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                seen += loss.detach()
                step += 1
            judged = self._judged(network, read)
            if judged < best:
                best = judged
                kept = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(kept)
        return best

    def _judged(self, network: nn.Module, read: Read) -> float:
        order = self.data.validation
        if self.lengths is not None:
            order = order[np.argsort(self.lengths[order], kind="stable")]
        network.eval()
        total = 0.0
        with torch.inference_mode():
            for start in range(0, len(order), JUDGED_AT_ONCE):
                rows = order[start : start + JUDGED_AT_ONCE]
                loss = nn.functional.cross_entropy(
                    network(read(rows, False)),
                    self.targets[rows],
                    label_smoothing=self.settings.smoothing,
                    reduction="sum",
                )
                total += float(loss)
        _training_mode(network)
        return total / len(order)

    def _network(self) -> nn.Module:
        backbone, settings = self.data.bank.backbone, self.settings
        module = copy.deepcopy(backbone.module)
        if settings.adapter is not None:
            module.requires_grad_(False)
            inject(
                module, settings.adapter, [member for block in backbone.blocks for member in block.members]
            )
        if settings.cut is not None:
            module = _top(module, settings.cut)
        torch.manual_seed(0)
        head = nn.Linear(backbone.width, self.data.task.outputs)
        network = nn.Sequential(use_channels_last(module), head)
        _training_mode(network)
        return network

    def _reader(self) -> Read:
        inputs = self.data.bank.inputs
        if self.lengths is not None:
            return lambda rows, training: inputs.to_network(inputs.collate([self.texts[row] for row in rows]))
        if self.settings.cut is not None:
            return lambda rows, training: self.held[rows].contiguous(memory_format=torch.channels_last)
        crop = _crops(self.held.shape[-1]) if self.settings.crops else None

        def read(rows: Positions, training: bool) -> Tensor:
            images = self.held[rows]
            if crop is not None and training:
                images = torch.stack([crop(image) for image in images])
            return inputs.to_network(images)

        return read


def _ahead(read: Read, parts: list[Positions]) -> Iterator[tuple[Positions, Tensor]]:
    """Batches, the next one read by another thread while this one trains."""
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as reader:
        coming = reader.submit(read, parts[0], True)
        for number, rows in enumerate(parts):
            inputs = coming.result()
            if number + 1 < len(parts):
                coming = reader.submit(read, parts[number + 1], True)
            yield rows, inputs


def _training_mode(network: nn.Module) -> None:
    """Everything trains but the statistics of BatchNorm."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _crops(size: int) -> Any:
    from torchvision.transforms import v2

    return v2.RandomResizedCrop((size, size), scale=(0.6, 1.0), antialias=True)


def _top(module: Any, cut: int) -> nn.Module:
    """What lies above a cut of timm's MobileNetV2, whose blocks are the stem, the units of its stages, and the end."""
    units = [unit for stage in module.blocks for unit in stage]
    return nn.Sequential(*units[cut - 1 :], module.conv_head, module.bn2, module.global_pool)


def _share(step: int, total: int, warmup: float) -> float:
    warm = math.ceil(warmup * total)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm + 1) / max(total - warm + 1, 1)))
