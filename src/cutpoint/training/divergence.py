"""Why a fit diverged: the first thing that is not finite, on the way from the inputs to the logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cutpoint.backbones.backbone import Block
from cutpoint.backbones.order import block_parameters, inference
from cutpoint.data.collected import few
from cutpoint.features.bank import FeatureBank
from cutpoint.model import Network
from cutpoint.training.judge import EVALUATION_BATCH, Judge
from cutpoint.training.source import Positions, Source

_MOST_NAMED = 3


def cause_of(
    judge: Judge, blocks: Sequence[Block], source: Source, rows: Sequence[Positions], bank: FeatureBank
) -> str:
    """Look for what is not finite: inputs, then weights, then what blocks put out, then the loss.

    Args:
        judge: Runs the network as it stood when a loss was not finite.
        blocks: The backbone's blocks.
        source: What was read.
        rows: Positions that are looked at, those first that were being learned from.
        bank: Knows how the rows are called.

    Returns:
        The end of a sentence.
    """
    network = judge.network
    wrong = [row for part in rows for row in _wrong_inputs(source, part)]
    if wrong:
        what = "features" if source.cut == len(blocks) else "inputs"
        return f"the {what} of {named(bank, wrong)} are not finite"
    weight = _broken_weight(network, blocks)
    if weight is not None:
        return weight
    for part in rows:
        for positions in _chunks(part):
            block = _first_broken_output(network, blocks, source, positions)
            if block is not None:
                return f"{block} puts out values that are not finite ({_largest_weight(network)})"
    if any(len(part) and not torch.isfinite(torch.tensor(judge.mean_loss(source, part))) for part in rows):
        return f"the logits are finite, the loss is not: it exploded ({_largest_weight(network)})"
    return (
        "the loss was not finite in training mode and is so in inference mode in float32: half precision, dropout or "
        "batch statistics"
    )


def named(bank: FeatureBank, positions: Sequence[int]) -> str:
    """The first few of some rows, by name."""
    return few([bank.dataset.names[int(bank.rows[position])] for position in positions], _MOST_NAMED)


def _wrong_inputs(source: Source, rows: Positions) -> list[int]:
    found: list[int] = []
    for positions in _chunks(rows):
        batch = source.read(positions, 0, False)[0]
        if batch.is_floating_point():
            is_wrong = ~torch.isfinite(batch.flatten(1)).all(1)
            found += positions[is_wrong.cpu().numpy()].tolist()
    return found


def _broken_weight(network: Network, blocks: Sequence[Block]) -> str | None:
    """The lowest block with a weight or a buffer that is not finite."""
    buffers = {name: value for name, value in network.backbone.named_buffers() if value.is_floating_point()}
    places: list[tuple[str, Mapping[str, Tensor]]] = [
        (f"block {block.name}", block_parameters(network.backbone, block)) for block in blocks
    ]
    places += [("the backbone", dict(network.backbone.named_parameters())), ("the backbone", buffers)]
    places += [("the head", network.head.state_dict())]
    for place, tensors in places:
        for name, value in tensors.items():
            if not bool(torch.isfinite(value).all()):
                return f"{name} in {place} is not finite"
    return None


def _first_broken_output(
    network: Network, blocks: Sequence[Block], source: Source, rows: Positions
) -> str | None:
    broken: list[str] = []
    with inference(network), _watched(network.backbone, blocks, broken):
        features = source.features(*source.read(rows, 0, False))
        logits = network.head(features)
    if broken:
        return f"block {broken[0]}"
    if not bool(torch.isfinite(features).all()):
        return "the last block"
    return None if bool(torch.isfinite(logits).all()) else "the head"


@contextmanager
def _watched(module: nn.Module, blocks: Sequence[Block], broken: list[str]) -> Iterator[None]:
    """Inside, the names of blocks whose output is not finite are noted, in the order in which they run."""

    def note(name: str, *arguments: Any) -> None:
        output = arguments[-1][0] if isinstance(arguments[-1], tuple) else arguments[-1]
        if isinstance(output, Tensor) and not bool(torch.isfinite(output).all()):
            broken.append(name)

    hooks = [
        module.get_submodule(block.name).register_forward_hook(partial(note, block.name)) for block in blocks
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _largest_weight(network: Network) -> str:
    name, value = max(
        ((name, float(value.detach().abs().max())) for name, value in network.named_parameters()),
        key=lambda each: each[1],
    )
    return f"the largest weight is {value:.3g}, in {name}"


def _chunks(rows: Positions) -> Iterator[Positions]:
    for start in range(0, len(rows), EVALUATION_BATCH):
        yield rows[start : start + EVALUATION_BATCH]
