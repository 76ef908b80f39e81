"""The records of a fit: what it reads, how far it is, and what it tells."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from cutpoint.features.bank import FeatureBank
from cutpoint.training.source import Positions
from cutpoint.types import EpochRecord, Task


@dataclass(frozen=True)
class FitData:
    """Rows of a feature bank with their targets.

    Attributes:
        bank: Reads inputs, features and activations by position.
        targets: (N, …) for the bank's rows, in its order.
        task: What is predicted.
        train: Positions to train on.
        validation: Positions to judge on; empty for a final fit on all rows.
        groups: (N,) or None; inner cross-validation keeps groups together.
        selects: Whether validation rows also choose which epoch is kept and when to stop early. Where they are
            few, as in a fold, choosing by them would flatter what they judge: then a schedule runs to its
            end, and only the decision to unfreeze further looks at them.
    """

    bank: FeatureBank
    targets: NDArray[Any]
    task: Task
    train: Positions
    validation: Positions
    groups: NDArray[Any] | None = None
    selects: bool = True


@dataclass(frozen=True)
class Progress:
    """One step, or with `record` the end of an epoch."""

    stage: int
    step: int
    """Steps done in the whole fit."""
    steps: int
    """Steps in the whole fit, if no stage ends early."""
    record: EpochRecord | None = None


@dataclass
class FitState:
    """All that changes during a fit, apart from tensors; saved as JSON."""

    stage: int = 0
    epoch: int = 0
    """Epochs done in this stage."""
    step: int = 0
    """Steps done in this epoch."""
    epochs_done: int = 0
    steps_done: int = 0
    frozen_blocks: int = 0
    """Of the stage as it stands; re-freezing raises it."""
    untouched_blocks: int = 0
    """Blocks from the bottom that no stage so far may have changed."""
    best: float = math.inf
    """The validation figure of the weights that are kept; lower is better."""
    best_epoch: int = -1
    """Epoch (counted through all stages) of those weights; -1 while the initial ones are kept."""
    best_stage: int = 0
    stale: int = 0
    """Epochs of this stage since the last improvement."""
    rising: int = 0
    """Epochs in a row whose validation loss rose."""
    last_loss: float = math.inf
    loss_sum: float = 0.0
    first_loss: float | None = None
    worst_loss: float | None = None
    """Of the batches of this epoch."""
    seen: int = 0
    seconds: float = 0.0
    """Time spent on the steps of this epoch; decides nothing."""
    micro_batch: int | None = None
    """Of this stage, examples that pass at once since the memory did not suffice for more; None: as the recipe says."""
    strength: float | None = None
    """Inverse penalty of the exact head, where one was solved."""
    diverged: bool = False
    """A loss was not finite; the weights kept are the last good ones."""
    cause: str = ""
    """Of the divergence, in words."""
    finished: bool = False
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def at_start_of_stage(self) -> bool:
        """Whether nothing of the current stage has been done."""
        return self.epoch == 0 and self.step == 0

    def begin_stage(self, frozen_blocks: int) -> None:
        """Count from zero what belongs to one stage."""
        self.frozen_blocks = frozen_blocks
        self.untouched_blocks = min(self.untouched_blocks, frozen_blocks)
        self.stale = self.rising = 0
        self.last_loss = math.inf
        self.micro_batch = None

    def count_step(self, loss: float, examples: int) -> None:
        """Add one optimizer step."""
        self.loss_sum += loss * examples
        self.first_loss = loss if self.first_loss is None else self.first_loss
        self.worst_loss = loss if self.worst_loss is None else max(self.worst_loss, loss)
        self.seen += examples
        self.step += 1
        self.steps_done += 1

    def count_epoch(self, record: EpochRecord) -> None:
        """Add one finished epoch and count its steps from zero again."""
        self.records.append(record.model_dump())
        self.stale = 0 if record.best else self.stale + 1
        self.epoch += 1
        self.epochs_done += 1
        self.step, self.loss_sum, self.seen, self.seconds = 0, 0.0, 0, 0.0
        self.first_loss = self.worst_loss = None

    def count_rise(self, loss: float) -> int:
        """Note this epoch's validation loss; returns how many epochs in a row it rose."""
        self.rising = self.rising + 1 if loss > self.last_loss else 0
        self.last_loss = loss
        return self.rising
