"""The training loop: the only one. A fit runs a recipe's stages on one set of rows and can stop at any step.

`Fit` is a generator of progress. Progress bars, checkpoints, budgets and the race are its consumers; early
stopping, kept weights and re-freezing are part of its state, so that a resumed fit is the fit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cutpoint.objectives import ContrastiveLoss
from cutpoint.regimes.partition import apply_modes, apply_partition, trainable_parameters
from cutpoint.regimes.recipe import Recipe, Stage
from cutpoint.runtime import one_thread
from cutpoint.training.batches import batches, in_pairs, shuffled, steps_per_epoch
from cutpoint.training.build import (
    build_network,
    judging_loss,
    l2_sp_penalty,
    target_tensor,
    training_loss,
    untouched_blocks,
)
from cutpoint.training.checkpoint import load_checkpoint, save_checkpoint
from cutpoint.training.divergence import cause_of
from cutpoint.training.exact_head import solve_head
from cutpoint.training.judge import Judge, Judged
from cutpoint.training.keeper import Keeper
from cutpoint.training.source import Positions, Source, source_for
from cutpoint.training.state import FitData, FitState, Progress
from cutpoint.training.stepper import Stepper
from cutpoint.training.unread import UnreadLosses
from cutpoint.training.weights import ChangingWeights, Freezing, Tensors
from cutpoint.types import EpochRecord

__all__ = ["Fit", "FitData", "FitState", "Progress"]

_REFREEZE_AFTER = 2
"""Epochs in a row with rising validation loss before the lowest block is frozen again."""


class Fit:
    """One run of a recipe on one set of rows.

    Args:
        recipe: Resolved regime; no rate may still be open.
        data: What to read.
        seed: Decides initialisation, order, augmentation and dropout.
        device: Where the arithmetic runs.
        stop_after: Total epochs after which the fit ends, for final fits without validation.

    Iterating trains; `save` and `load` may be called between steps. Afterwards `network` holds the kept
    weights: those with the best validation figure (ties: the earlier), the last ones where there is no
    validation, and the initial ones where no epoch gave a finite figure (`state.diverged`).
    """

    def __init__(
        self,
        recipe: Recipe,
        data: FitData,
        *,
        seed: int,
        device: torch.device | None = None,
        stop_after: int | None = None,
    ) -> None:
        self.recipe = recipe
        self.data = data
        self.seed = seed
        self.device = device or torch.device("cpu")
        self.stop_after = stop_after
        self.blocks = data.bank.backbone.blocks
        self.network = build_network(recipe, data, seed).to(self.device)
        self.state = FitState(frozen_blocks=len(self.blocks), untouched_blocks=untouched_blocks(recipe, data))
        self._targets = target_tensor(data, self.device)
        self._loss = training_loss(recipe, data, self.device)
        self._judge = Judge(self.network, self._targets, judging_loss(recipe, data))
        self._weights = ChangingWeights(self.network, self.blocks, recipe)
        self._keeper = Keeper(self._weights, self._judge, recipe, data)
        self._steps = sum(int(stage.phase.epochs) * self._steps_per_epoch(stage) for stage in recipe.stages)
        self._stepper: Stepper | None = None
        self._source: Source | None = None
        self._kept: tuple[Source | None, NDArray[np.float32] | None] = (None, None)
        self._resumed: dict[str, Tensors] = {}
        self._unread = UnreadLosses(self.state, self.device)

    @property
    def records(self) -> tuple[EpochRecord, ...]:
        """Every finished epoch, in order."""
        return tuple(EpochRecord(**record) for record in self.state.records)

    @property
    def reached_cut(self) -> int:
        """Fewest blocks that were frozen up to the weights that are kept."""
        return min(stage.frozen_blocks for stage in self._stages_kept())

    @property
    def trained_parameters(self) -> int:
        """Parameters that trained up to the weights that are kept, the head's among them."""
        sizes = {
            id(parameter): parameter.numel()
            for stage in self._stages_kept()
            for members in trainable_parameters(self.network, self.blocks, stage.partition).values()
            for _, parameter in members
        }
        return sum(sizes.values())

    @property
    def freezing(self) -> Freezing:
        """Of a finished fit: the digest of what stayed frozen, and how much of the rest moved."""
        return self._weights.freezing()

    def _stages_kept(self) -> tuple[Stage, ...]:
        return self.recipe.stages[: self.state.best_stage + 1]

    def predict(self, positions: Positions) -> NDArray[np.float32]:
        """(N, outputs) scores of the network as it stands."""
        return self._judge.scores(self._open_source(), positions)

    def predict_validation(self) -> NDArray[np.float32]:
        """The same of the validation rows, by a finished fit: as they were judged when the weights were kept.

        They are judged anew where that was in another process, or what is read has changed since.
        """
        source, scores = self._kept
        return self.predict(self.data.validation) if scores is None or source is not self._source else scores

    def features(self, positions: Positions, source: Source | None = None) -> Tensor:
        """(N, width) pooled features under the head as the network stands, or as the source has them; of words, a row
        each."""
        return self._judge.features(source or self._open_source(), positions)

    def __iter__(self) -> Iterator[Progress]:
        while not self.state.finished:
            stage = self.recipe.stages[self.state.stage]
            self._enter_stage(stage)
            if stage.phase.is_solved:
                yield from self._solve(stage)
            else:
                yield from self._train_stage(stage)
            self._leave_stage(stage)
        self._weights.verify_frozen()

    def _train_stage(self, stage: Stage) -> Iterator[Progress]:
        size = int(stage.phase.batch_size)
        while self.state.epoch < int(stage.phase.epochs) and not self._must_stop(stage):
            epoch, start = self.state.epochs_done, self.state.step
            for step, rows in batches(self._order(stage, epoch), size, start):
                self._one_step(stage, step, rows)
                if self.state.diverged:
                    return
                yield self._progress()
            self._unread.read()
            if self.state.diverged:
                return
            yield self._progress(self._end_epoch(stage))

    def _order(self, stage: Stage, epoch: int) -> Positions:
        rows = self.data.train
        if stage.phase.loss == "contrastive":
            return in_pairs(rows, self.data.targets, self.seed, epoch)
        lengths = self._open_source().lengths
        return shuffled(rows, int(stage.phase.batch_size), self.seed, epoch, lengths)

    def _one_step(self, stage: Stage, step: int, rows: Positions) -> None:
        assert self._stepper is not None
        started = time.perf_counter()
        source, per_epoch = self._open_source(), self._steps_per_epoch(stage)
        with (
            one_thread() if source.cut == len(self.blocks) else nullcontext()
        ):  # a head is too small for more
            loss = self._stepper.step(
                source,
                source.read(rows, self.state.epochs_done, True),
                self._targets[rows],
                number=self.state.epoch * per_epoch + step,
                total=int(stage.phase.epochs) * per_epoch,
                draw=(self.seed, self._steps_taken),
            )
        self.state.micro_batch = self._stepper.micro_batch
        self._unread.add(loss, len(rows))
        self.state.seconds += time.perf_counter() - started

    @property
    def _steps_taken(self) -> int:
        """In the whole fit, those among them that do not count yet."""
        return self.state.steps_done + self._unread.steps

    def _solve(self, stage: Stage) -> Iterator[Progress]:
        if not self.state.at_start_of_stage:
            return
        started, rows, source = time.perf_counter(), self.data.train, self._open_source()
        self.state.strength = solve_head(self.recipe, self.data, self._judge, source, self.seed)
        self.state.loss_sum = self._judge.mean_loss(source, rows) * len(rows)
        self.state.seen = len(rows)
        self.state.seconds = time.perf_counter() - started
        yield self._progress(self._end_epoch(stage))

    def _end_epoch(self, stage: Stage) -> EpochRecord:
        started = time.perf_counter()
        found, is_best = Judged(), False
        if stage.phase.loss != "contrastive":  # there no head fits these features yet: nothing can be judged
            with self._stepper.judged_weights() if self._stepper else nullcontext():
                found = self._judge.judge(self._open_source(), self.data.validation)
                is_best = self._keeper.offer(
                    self.state,
                    found.loss,
                    found.metric,
                    ends_stage=self._is_last_epoch(stage),
                    is_start=self._is_start(stage),
                )
        if is_best:
            self._kept = (self._source, found.scores)
        record = EpochRecord(
            phase=self.state.stage,
            epoch=self.state.epochs_done,
            frozen_blocks=self.state.frozen_blocks,
            steps=self.state.step,
            rate=self._rate(stage),
            train_loss=self.state.loss_sum / max(self.state.seen, 1),
            validation_loss=found.loss,
            validation_metric=found.metric,
            seconds=self.state.seconds + time.perf_counter() - started,
            best=is_best,
            first_loss=self.state.first_loss,
            worst_loss=self.state.worst_loss,
        )
        self.state.count_epoch(record)
        if stage.phase.refreeze and found.loss is not None:
            self._refreeze_if_unstable(stage, found.loss)
        return record

    def _is_start(self, stage: Stage) -> bool:
        """Whether the stage only solves the head that later stages start from."""
        return stage.phase.is_solved and self.state.stage + 1 < len(self.recipe.stages)

    def _rate(self, stage: Stage) -> float:
        """The highest rate of the epoch's last step; none where the head was solved."""
        if self._stepper is None:
            return 0.0
        per_epoch = self._steps_per_epoch(stage)
        number = self.state.epoch * per_epoch + self.state.step - 1
        return self._stepper.rate(number, int(stage.phase.epochs) * per_epoch)

    def _refreeze_if_unstable(self, stage: Stage, loss: float) -> None:
        """Freeze the lowest trainable block after some rises in a row; the top block always trains."""
        if self.state.count_rise(loss) >= _REFREEZE_AFTER and self.state.frozen_blocks < len(self.blocks) - 1:
            self.state.frozen_blocks += 1
            self.state.rising = 0
            self._partition(stage)

    def _must_stop(self, stage: Stage) -> bool:
        patience = stage.phase.patience
        selects = self.data.selects and len(self.data.validation) > 0
        is_stale = patience is not None and selects and self.state.stale >= patience
        return is_stale or self.state.diverged or self._reached_stop()

    def _is_last_epoch(self, stage: Stage) -> bool:
        return stage.phase.is_solved or self.state.epoch + 1 >= int(stage.phase.epochs)

    def _reached_stop(self) -> bool:
        return self.stop_after is not None and self.state.epochs_done >= self.stop_after

    def _progress(self, record: EpochRecord | None = None) -> Progress:
        return Progress(self.state.stage, self._steps_taken, self._steps, record)

    def _steps_per_epoch(self, stage: Stage) -> int:
        return steps_per_epoch(len(self.data.train), int(stage.phase.batch_size))

    def _enter_stage(self, stage: Stage) -> None:
        """Set partition, modes and stepper; a resumed stage takes up what was loaded."""
        if self.state.at_start_of_stage:
            self.state.begin_stage(stage.frozen_blocks)
        self._partition(stage)
        self._source = None
        if stage.phase.solver == "gradient":
            current = self._as_it_stands(stage)
            penalty = l2_sp_penalty(self.recipe, current, self.network, self.data)
            self._stepper = Stepper(
                self.network,
                self.blocks,
                current,
                self._loss if stage.phase.loss == "supervised" else ContrastiveLoss(self.data.task),
                penalty,
                self._weights,
                self._resumed,
                self.data.task,
                self.state.micro_batch or stage.phase.micro_batch,
            )
        self._resumed = {}

    def _leave_stage(self, stage: Stage) -> None:
        """Take up the best weights so far and move on."""
        improved = self.state.best_stage == self.state.stage
        if self.state.diverged:
            self.state.cause = self._cause(stage)
        elif stage.phase.loss == "contrastive":
            self._keeper.go_on()
        self._keeper.put_back()
        self.state.stage += 1
        self.state.epoch = self.state.step = 0
        self._stepper = None
        is_over = self.state.stage >= len(self.recipe.stages) or self.state.diverged or self._reached_stop()
        self.state.finished = is_over or (stage.stop_unless_improved and not improved)

    def _cause(self, stage: Stage) -> str:
        """Where numbers stopped being finite; asked while the network still stands as it failed."""
        state, source, size = self.state, self._open_source(), int(stage.phase.batch_size)
        rows = self.data.train
        if source.cut < len(self.blocks):  # inputs are read one batch at a time, pooled features at once
            rows = self._order(stage, state.epochs_done)[state.step * size :][:size]
        found = cause_of(self._judge, self.blocks, source, (rows, self.data.validation), self.data.bank)
        rate = f" at rate {stage.phase.rate:g}" if stage.phase.solver == "gradient" else ""
        return f"after {state.steps_done} of {self._steps} steps{rate}: {found}"

    def _partition(self, stage: Stage) -> None:
        partition = self._as_it_stands(stage).partition
        apply_partition(self.network, self.blocks, partition)
        apply_modes(self.network, self.blocks, partition, stage.phase.batchnorm)

    def _as_it_stands(self, stage: Stage) -> Stage:
        return stage.model_copy(update={"frozen_blocks": self.state.frozen_blocks})

    def _open_source(self) -> Source:
        if self._source is None:
            stage = self.recipe.stages[min(self.state.stage, len(self.recipe.stages) - 1)]
            untouched = self.state.untouched_blocks
            self._source = source_for(
                self.network, self.data.bank, stage.phase, untouched, self.seed, self.device
            )
        return self._source

    def save(self, path: Path) -> None:
        """Write the whole state; call it between steps."""
        self._unread.read()
        groups: dict[str, Tensors] = {"network": self._weights.current(), "best": self._keeper.best}
        if self._stepper is not None:
            groups.update(self._stepper.tensors())
        save_checkpoint(path, asdict(self.state), groups)

    def load(self, path: Path) -> bool:
        """Take up a saved state; False where there is no sound one, and the fit starts from the beginning."""
        loaded = load_checkpoint(path)
        if loaded is None:
            return False
        facts, groups = loaded
        self.state = FitState(**facts)
        self._unread = UnreadLosses(self.state, self.device)
        self._weights.load(groups["network"])
        self._keeper.resume(groups["best"])
        self._resumed = {name: groups[name] for name in ("optimizer", "average") if name in groups}
        self._source = None
        return True
