"""What a stage reads: pooled features, activations at its cut, or prepared inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cutpoint.backbones.backbone import Backbone
from cutpoint.features.activations import PooledFeatures
from cutpoint.features.augmentation import augment
from cutpoint.features.bank import FeatureBank
from cutpoint.features.cut import Cut, valid_cuts
from cutpoint.features.recording import Recording
from cutpoint.model import Network
from cutpoint.regimes.regime import Phase

Positions = NDArray[np.int64]
Batch = tuple[Tensor, ...]
"""Inputs, or activations with (texts only) the inputs that they were made from; batch first all."""

_RECORDINGS: WeakKeyDictionary[Backbone, Recording] = WeakKeyDictionary()


@dataclass(frozen=True)
class Source:
    """Reads batches and runs what lies above the cut.

    Attributes:
        cut: Blocks whose output is read instead of computed; 0 where inputs are read.
        read: (positions, epoch, whether training) → a batch.
        features: That batch, spread → what the backbone puts out.
        lengths: (N,) tokens of each of the bank's rows where batches are padded to their longest; else None.
        pooled: The features themselves, on disk, where they are what is read; else None.
    """

    cut: int
    read: Callable[[Positions, int, bool], Batch]
    features: Callable[..., Tensor]
    lengths: Positions | None = None
    pooled: PooledFeatures | None = None


def source_for(
    network: Network, bank: FeatureBank, phase: Phase, frozen_blocks: int, seed: int, device: torch.device
) -> Source:
    """The cheapest exact source for a stage.

    Args:
        network: What is trained; its first `frozen_blocks` blocks are still the pretrained ones.
        bank: Computes and caches what the pretrained backbone says.
        phase: Tells whether inputs are augmented, and into how many stored views.
        frozen_blocks: Blocks that no stage so far has changed.
        seed: Decides the augmentation.
        device: Where batches go.
    """
    backbone = bank.backbone
    is_live = phase.augmentation != "none" and phase.views == 0
    has_features = bank.dataset.task.kind != "language"  # logits of every token are not worth keeping
    if frozen_blocks == len(backbone.blocks) and phase.augmentation == "none" and has_features:
        return _pooled_source(bank, device)
    is_inner = 0 < frozen_blocks < len(backbone.blocks)
    if is_inner and not is_live and frozen_blocks in valid_cuts(backbone).valid:
        source = _activation_source(network, bank, phase, frozen_blocks, seed, device)
        if source is not None:
            return source
    return _input_source(network, bank, phase, seed, device)


def _pooled_source(bank: FeatureBank, device: torch.device) -> Source:
    pooled = bank.pooled()

    def read(positions: Positions, epoch: int, training: bool) -> Batch:
        return (_sent(pooled.read(positions), device),)

    counts = None if pooled.spans is None else pooled.spans.counts
    return Source(len(bank.backbone.blocks), read, lambda features: features, counts, pooled)


def _activation_source(
    network: Network, bank: FeatureBank, phase: Phase, cut: int, seed: int, device: torch.device
) -> Source | None:
    plain = views = bank.activations(cut)
    if phase.augmentation != "none":
        views = bank.activations(cut, views=phase.views, kind=phase.augmentation, seed=seed)
    if plain is None or views is None:
        return None
    backbone = bank.backbone
    split = Cut(network.backbone, backbone.blocks, cut, bank.inputs, _recording(backbone))
    lengths = bank.lengths

    def read(positions: Positions, epoch: int, training: bool) -> Batch:
        activations = _sent((views if training else plain).read(positions, epoch), device)
        if lengths is None:
            return (activations,)
        return activations, bank.inputs.to_network(_sent(bank.prepared(positions), device))

    return Source(cut, read, split.suffix, lengths)


def _input_source(
    network: Network, bank: FeatureBank, phase: Phase, seed: int, device: torch.device
) -> Source:
    bank.store_prepared()

    def read(positions: Positions, epoch: int, training: bool) -> Batch:
        prepared = bank.prepared(positions)
        if training:
            view = epoch % phase.views if phase.views else epoch
            prepared = augment(prepared, phase.augmentation, seed, view, bank.rows[positions].tolist())
        return (bank.inputs.to_network(_sent(prepared, device)),)

    return Source(0, read, network.backbone, bank.lengths)


def _recording(backbone: Backbone) -> Recording:
    """What the pretrained blocks put out, watched once: below a cut every fit's network is still the pretrained one."""
    if backbone not in _RECORDINGS:
        _RECORDINGS[backbone] = Recording(backbone.module, backbone.blocks, backbone.inputs)
    return _RECORDINGS[backbone]


def _sent(batch: Tensor, device: torch.device) -> Tensor:
    """The batch on the device; a GPU fetches it from pinned memory while it still works on the batch before."""
    if device.type == "cuda":
        batch = batch.pin_memory()
    return batch.to(device, non_blocking=True)
