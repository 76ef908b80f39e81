"""One optimizer step of a stage, and all that only lives as long as the stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor

from cutpoint.backbones.backbone import Block
from cutpoint.features.augmentation import mix
from cutpoint.features.seeding import seeded
from cutpoint.model import Network
from cutpoint.objectives import StartingPointPenalty, SupervisedLoss
from cutpoint.regimes.recipe import Stage
from cutpoint.training.optimizer import build_optimizer, optimizer_tensors, restore_optimizer, set_rates
from cutpoint.training.source import Source
from cutpoint.training.weights import ChangingWeights, MovingAverage, Tensors


class Stepper:
    """Optimizer, penalty and averaged weights of one stage.

    Args:
        network: What is trained.
        blocks: The backbone's blocks.
        stage: As it stands: with the blocks that are frozen now.
        loss: What is minimised.
        penalty: What is added to it, or None.
        weights: What may change, for the moving average.
        resumed: The state of an interrupted stage, as `tensors` gave it; empty for a new one.
    """

    def __init__(
        self,
        network: Network,
        blocks: tuple[Block, ...],
        stage: Stage,
        loss: SupervisedLoss,
        penalty: StartingPointPenalty | None,
        weights: ChangingWeights,
        resumed: Mapping[str, Tensors],
    ) -> None:
        self.network = network
        self.stage = stage
        self.loss = loss
        self.penalty = penalty
        self.optimizer = build_optimizer(network, blocks, stage)
        restore_optimizer(self.optimizer, resumed.get("optimizer", {}))
        decay = stage.phase.ema
        self.average = None if decay is None else MovingAverage(weights, decay, resumed.get("average"))

    def rate(self, number: int, total: int) -> float:
        """The highest rate of any group at a step of the stage."""
        return set_rates(self.optimizer, self.stage, number, total)

    def step(
        self,
        source: Source,
        inputs: Tensor,
        targets: Tensor,
        *,
        number: int,
        total: int,
        draw: tuple[int, int],
    ) -> float:
        """Take one step; no step is taken where the loss is not finite.

        Args:
            source: What `inputs` were read from.
            inputs: A batch.
            targets: Its targets.
            number: This step's number in the stage, from 0.
            total: Steps of the stage.
            draw: Numbers that decide mixing and dropout.

        Returns:
            The batch's mean loss, without penalty.
        """
        set_rates(self.optimizer, self.stage, number, total)
        task = self.loss.task
        with seeded(*draw):
            if self.stage.phase.mix != "none" and task.is_classification:
                inputs, targets = mix(inputs, targets, self.stage.phase.mix, task.outputs)
            loss: Tensor = self.loss(self.network.head(source.features(inputs)), targets)
        value = float(loss.detach())
        if math.isfinite(value):
            self._descend(loss if self.penalty is None else loss + self.penalty())
        return value

    def _descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.average is not None:
            self.average.update()

    @contextmanager
    def judged_weights(self) -> Iterator[None]:
        """The network runs on the averaged weights inside the `with` block, where the stage averages."""
        if self.average is None:
            yield
        else:
            with self.average.applied():
                yield

    def tensors(self) -> dict[str, Tensors]:
        """State for a checkpoint."""
        groups = {"optimizer": optimizer_tensors(self.optimizer)}
        if self.average is not None:
            groups["average"] = self.average.values
        return groups
