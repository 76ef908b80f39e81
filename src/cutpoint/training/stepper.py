"""One optimizer step of a stage, and all that only lives as long as the stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from cutpoint.backbones.backbone import Block
from cutpoint.features.augmentation import mix
from cutpoint.features.seeding import seeded
from cutpoint.model import Network
from cutpoint.objectives import ContrastiveLoss, StartingPointPenalty, SupervisedLoss
from cutpoint.regimes.recipe import Stage
from cutpoint.runtime import free_memory, is_out_of_memory, mixed_precision
from cutpoint.training.optimizer import build_optimizer, optimizer_tensors, restore_optimizer, set_rates
from cutpoint.training.source import Batch, Source
from cutpoint.training.weights import ChangingWeights, MovingAverage, Tensors
from cutpoint.types import Task


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
        task: What is predicted.
        micro_batch: Examples that pass at once; None: the whole batch. Halved where the memory does not suffice.
    """

    def __init__(
        self,
        network: Network,
        blocks: tuple[Block, ...],
        stage: Stage,
        loss: SupervisedLoss | ContrastiveLoss,
        penalty: StartingPointPenalty | None,
        weights: ChangingWeights,
        resumed: Mapping[str, Tensors],
        task: Task,
        micro_batch: int | None,
    ) -> None:
        self.network = network
        self.stage = stage
        self.loss = loss
        self.penalty = penalty
        self.task = task
        self.micro_batch = micro_batch
        self.optimizer = build_optimizer(network, blocks, stage)
        restore_optimizer(self.optimizer, resumed.get("optimizer", {}))
        self._has_broken = torch.zeros((), device=next(network.parameters()).device)
        decay = stage.phase.ema
        self.average = None if decay is None else MovingAverage(weights, decay, resumed.get("average"))

    def rate(self, number: int, total: int) -> float:
        """The highest rate of any group at a step of the stage."""
        return set_rates(self.optimizer, self.stage, number, total)

    def step(
        self,
        source: Source,
        inputs: Batch,
        targets: Tensor,
        *,
        number: int,
        total: int,
        draw: tuple[int, int],
    ) -> Tensor:
        """Take one step; weights and moments stay as they are from the first loss on that is not finite.

        Nothing here waits for the device: it is the fused optimizer itself that looks whether the loss is finite.

        Args:
            source: What `inputs` were read from.
            inputs: A batch.
            targets: Its targets.
            number: This step's number in the stage, from 0.
            total: Steps of the stage.
            draw: Numbers that decide mixing and dropout.

        Returns:
            The batch's mean loss, without penalty: a scalar on the device.
        """
        set_rates(self.optimizer, self.stage, number, total)
        task = self.task
        with seeded(*draw), mixed_precision(targets.device):
            if self.stage.phase.mix != "none" and task.is_classification:
                mixed, targets = mix(inputs[0], targets, self.stage.phase.mix, task.outputs)
                inputs = (mixed, *inputs[1:])
            value = self._backward(source, inputs, targets)
        self._has_broken = torch.maximum(self._has_broken, (~torch.isfinite(value)).float())
        self.optimizer.found_inf = self._has_broken  # type: ignore[attr-defined]  # as torch.amp.GradScaler tells it
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        return value

    def _backward(self, source: Source, inputs: Batch, targets: Tensor) -> Tensor:
        """Gradients of the batch's mean loss, part by part; where the memory does not suffice, in smaller parts."""
        while True:
            try:
                self.optimizer.zero_grad(set_to_none=True)
                return self._sum_of_parts(source, inputs, targets)
            except RuntimeError as error:
                size = min(self.micro_batch or len(targets), len(targets))
                if not is_out_of_memory(error) or size == 1 or not self._can_be_split:
                    raise
                self.micro_batch = size // 2
            self.optimizer.zero_grad(set_to_none=True)
            free_memory()

    @property
    def _can_be_split(self) -> bool:
        """Whether parts of a batch add up to it: not where its statistics count, or all of its pairs."""
        phase = self.stage.phase
        return phase.batchnorm == "inference" and phase.loss == "supervised"

    def _sum_of_parts(self, source: Source, inputs: Batch, targets: Tensor) -> Tensor:
        size = self.micro_batch or len(targets)
        weight = self.loss.weight(targets)
        value = torch.zeros((), device=targets.device)
        for start in range(0, len(targets), size):
            part = slice(start, start + size)
            outputs = source.features(*(tensor[part] for tensor in inputs))
            if self.stage.phase.loss == "supervised":
                outputs = self.network.head(outputs)
            loss = self.loss.total(outputs, targets[part]) / weight
            value += loss.detach()
            loss.backward()  # type: ignore[no-untyped-call]
        if self.penalty is not None:
            self.penalty().backward()  # type: ignore[no-untyped-call]
        return value

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
