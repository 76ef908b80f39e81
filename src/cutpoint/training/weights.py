"""The tensors that a recipe may change: copied, put back, averaged; and proof that no other changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from cutpoint.backbones.backbone import Block
from cutpoint.backbones.digest import tensors_digest
from cutpoint.errors import TrainingError
from cutpoint.model import Network
from cutpoint.regimes.partition import trainable_parameters
from cutpoint.regimes.recipe import Recipe
from cutpoint.types import Record

Tensors = dict[str, Tensor]


class Freezing(Record):
    """Proof of what stayed frozen in a fit, and that the rest moved; the fields are those of `Trial`."""

    frozen_digest: str | None
    frozen_tensors: int
    moved_tensors: int


class ChangingWeights:
    """What of a network a recipe may change.

    Args:
        network: As it is before the first stage.
        blocks: The backbone's blocks.
        recipe: Its stages say which parameters train and whether BatchNorm statistics move.
    """

    def __init__(self, network: Network, blocks: Sequence[Block], recipe: Recipe) -> None:
        self.network = network
        self._frozen = _frozen_names(network, blocks, recipe)
        self._digest = self._digest_of_frozen()
        self._start = {name: tensors_digest({name: value}) for name, value in self.current().items()}

    def current(self) -> Tensors:
        """The changing tensors themselves, by name."""
        return {name: value for name, value in self.network.state_dict().items() if name not in self._frozen}

    def copy(self) -> Tensors:
        """Their values now."""
        return {name: value.clone() for name, value in self.current().items()}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put values back, in place."""
        for name, value in self.current().items():
            value.copy_(tensors[name])

    def like_current(self, saved: Mapping[str, Tensor]) -> Tensors:
        """Saved tensors in the memory layout and on the device of the network's own."""
        own = self.current()
        return {name: torch.empty_like(own[name]).copy_(value) for name, value in saved.items()}

    def verify_frozen(self) -> None:
        """Check that every other parameter and buffer is what it was, bit for bit.

        Raises:
            TrainingError: One is not.
        """
        if self._digest_of_frozen() != self._digest:
            raise TrainingError(
                "A frozen weight or buffer changed during training.",
                "This is a defect: please report the backbone and the regime.",
            )

    def freezing(self) -> Freezing:
        """What the digests say now: call it after `verify_frozen`."""
        moved = sum(
            tensors_digest({name: value}) != self._start[name] for name, value in self.current().items()
        )
        return Freezing(
            frozen_digest=self._digest if self._frozen else None,
            frozen_tensors=len(self._frozen),
            moved_tensors=moved,
        )

    def _digest_of_frozen(self) -> str:
        state = self.network.state_dict()
        return tensors_digest({name: state[name] for name in self._frozen})


class MovingAverage:
    """An exponential moving average of the changing tensors, which is what is judged and kept.

    Args:
        weights: What is averaged.
        decay: Share of the old average that stays at each step.
        start: Averages of an interrupted fit; the values now, where there are none.
    """

    def __init__(self, weights: ChangingWeights, decay: float, start: Mapping[str, Tensor] | None) -> None:
        self.values = weights.like_current(start) if start else weights.copy()
        self._weights = weights
        floating = [name for name, value in self.values.items() if value.is_floating_point()]
        self._averaged = [self.values[name] for name in floating]
        own = weights.current()
        self._own = [own[name] for name in floating]
        self._counters = [(self.values[name], own[name]) for name in own if name not in set(floating)]
        self._step = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after one step."""
        self._step(self._averaged, self._own, 1)
        for average, own in self._counters:
            average.copy_(own)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network runs on the averages inside the `with` block."""
        own = self._weights.copy()
        self._weights.load(self.values)
        try:
            yield
        finally:
            self._weights.load(own)


def _frozen_names(network: Network, blocks: Sequence[Block], recipe: Recipe) -> frozenset[str]:
    """Names in the network's state that no stage may change."""
    if recipe.regime.init == "random":
        return frozenset()
    trained = {
        id(parameter)
        for stage in recipe.stages
        for members in trainable_parameters(network, blocks, stage.partition).values()
        for _, parameter in members
    }
    moving = _moving_buffers(network, blocks, recipe)
    parameters = dict(network.named_parameters(remove_duplicate=False))
    return frozenset(
        name
        for name in network.state_dict()
        if name.startswith("backbone.")
        and (id(parameters[name]) not in trained if name in parameters else name not in moving)
    )


def _moving_buffers(network: Network, blocks: Sequence[Block], recipe: Recipe) -> set[str]:
    """Buffers of unfrozen parts, without the statistics of BatchNorm layers that stay in inference mode."""
    above = tuple(f"backbone.{member}." for block in blocks[recipe.cut :] for member in block.members)
    fixed = all(stage.phase.batchnorm == "inference" for stage in recipe.stages)
    moving = set()
    for path, module in network.named_modules():
        if fixed and isinstance(module, _BatchNorm):
            continue
        for name, _ in module.named_buffers(recurse=False):
            if recipe.cut == 0 or f"{path}.{name}".startswith(above):
                moving.add(f"{path}.{name}")
    return moving
