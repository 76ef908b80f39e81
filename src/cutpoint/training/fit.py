"""The training loop: the only one. A fit runs a recipe's stages on one set of rows and can stop at any step.

`Fit` is a generator of progress. Progress bars, checkpoints, budgets and the race are its consumers; early
stopping, kept weights and re-freezing are part of its state, so that a resumed fit is the fit.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cutpoint.backbones.digest import tensors_digest
from cutpoint.errors import TrainingError
from cutpoint.evaluation.metrics import check_metric
from cutpoint.features.augmentation import mix
from cutpoint.features.bank import FeatureBank
from cutpoint.heads.exact import fit_exact
from cutpoint.heads.modules import Head, LinearHead, MLPHead, predict_scores
from cutpoint.model import Network
from cutpoint.objectives import StartingPointPenalty, SupervisedLoss, balanced_class_weights
from cutpoint.regimes.partition import Partition, apply_modes, apply_partition, trainable_parameters
from cutpoint.regimes.recipe import Recipe, Stage
from cutpoint.training.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from cutpoint.training.optimizer import build_optimizer, set_rates
from cutpoint.training.source import Positions, Source, source_for
from cutpoint.types import EpochRecord, Task

EVALUATION_BATCH = 64
_REFREEZE_AFTER = 2
"""Epochs in a row with rising validation loss before the lowest block is frozen again."""


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
    """

    bank: FeatureBank
    targets: NDArray[Any]
    task: Task
    train: Positions
    validation: Positions
    groups: NDArray[Any] | None = None


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
class _State:
    """All that changes, apart from tensors; saved as JSON."""

    stage: int = 0
    epoch: int = 0
    """Epochs done in this stage."""
    step: int = 0
    """Steps done in this epoch."""
    epochs_done: int = 0
    steps_done: int = 0
    frozen_blocks: int = 0
    """Of the stage as it stands; re-freezing raises it."""
    lowest: int = 0
    """Fewest frozen blocks of any stage so far."""
    best: float = math.inf
    best_epoch: int = -1
    best_frozen: int = 0
    best_stage: int = 0
    stale: int = 0
    rising: int = 0
    last_loss: float = math.inf
    loss_sum: float = 0.0
    seen: int = 0
    seconds: float = 0.0
    strength: float | None = None
    diverged: bool = False
    finished: bool = False
    records: list[dict[str, Any]] = field(default_factory=list)


class Fit:
    """One run of a recipe on one set of rows.

    Args:
        recipe: Resolved regime; no rate may still be open.
        data: What to read.
        seed: Decides initialisation, order, augmentation and dropout.
        device: Where the arithmetic runs.
        stop_after: Total epochs after which the fit ends, for final fits without validation.

    Iterating trains; `save` and `load` may be called between steps. Afterwards `network` holds the kept weights.
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
        self.backbone = data.bank.backbone
        self.blocks = self.backbone.blocks
        torch.manual_seed(seed)
        self.network = Network(self._build_module(), self._build_head()).to(self.device)
        self.state = _State(frozen_blocks=len(self.blocks), lowest=self._untouched_blocks())
        self._targets = _as_tensor(data.targets, data.task)
        self._judge_loss = self._loss_function(plain=True)
        self._train_loss = self._loss_function(plain=False)
        self._best: dict[str, Tensor] = {}
        self._average: dict[str, Tensor] = {}
        self._optimizer: torch.optim.Optimizer | None = None
        self._pending_optimizer: dict[str, Tensor] | None = None
        self._source: Source | None = None
        self._penalty: StartingPointPenalty | None = None
        self._frozen_digest = self._digest_of_frozen()

    # ---------------------------------------------------------------------------------------------- results

    @property
    def records(self) -> tuple[EpochRecord, ...]:
        """Every finished epoch, in order."""
        return tuple(EpochRecord(**record) for record in self.state.records)

    @property
    def reached_cut(self) -> int:
        """Fewest blocks that were frozen up to the weights that are kept."""
        stages = self.recipe.stages[: self.state.best_stage + 1]
        return min([stage.frozen_blocks for stage in stages], default=len(self.blocks))

    def predict(self, positions: Positions) -> NDArray[np.float32]:
        """(N, outputs) scores of the network as it stands."""
        source = self._source or self._open_source()
        return predict_scores(self.data.task, self._logits(source, positions)).cpu().numpy()

    # ---------------------------------------------------------------------------------------------- the loop

    def __iter__(self) -> Iterator[Progress]:
        while not self.state.finished:
            stage = self.recipe.stages[self.state.stage]
            self._enter_stage(stage)
            if stage.phase.solver == "exact":
                yield self._solve_exactly(stage)
            else:
                yield from self._train_stage(stage)
            self._leave_stage(stage)
        self._verify_frozen()

    def _train_stage(self, stage: Stage) -> Iterator[Progress]:
        epochs = int(stage.phase.epochs)
        while self.state.epoch < epochs and not self._must_stop(stage):
            for step, batch in self._batches(stage):
                self._one_step(stage, step, batch)
                if self.state.diverged:
                    return
                yield self._progress(None)
            yield self._progress(self._end_epoch(stage))

    def _one_step(self, stage: Stage, step: int, positions: Positions) -> None:
        assert self._optimizer is not None and self._source is not None
        started = time.perf_counter()
        epochs, per_epoch = int(stage.phase.epochs), self._steps_per_epoch(stage)
        set_rates(self._optimizer, stage, self.state.epoch * per_epoch + step, epochs * per_epoch)
        inputs = self._source.read(positions, self.state.epochs_done, True)
        targets = self._targets[positions].to(self.device)
        if stage.phase.mix != "none" and self.data.task.is_classification and len(inputs) > 1:
            inputs, targets = mix(inputs, targets, stage.phase.mix, self.data.task.outputs)
        loss = self._train_loss(self.network.head(self._source.features(inputs)), targets)
        penalised = loss if self._penalty is None else loss + self._penalty()
        self._optimizer.zero_grad(set_to_none=True)
        penalised.backward()
        self._optimizer.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            self.state.diverged = True
        if stage.phase.ema is not None:
            self._update_average(stage.phase.ema)
        self.state.loss_sum += value * len(positions)
        self.state.seen += len(positions)
        self.state.step += 1
        self.state.steps_done += 1
        self.state.seconds += time.perf_counter() - started

    def _end_epoch(self, stage: Stage) -> EpochRecord:
        started = time.perf_counter()
        with self._averaged_weights():
            loss, metric = self._judge()
            is_best = self._keep_if_best(loss, metric)
        rate = max(group["lr"] for group in self._optimizer.param_groups) if self._optimizer else 0.0
        record = EpochRecord(
            phase=self.state.stage,
            epoch=self.state.epochs_done,
            frozen_blocks=self.state.frozen_blocks,
            steps=self.state.step,
            rate=rate,
            train_loss=self.state.loss_sum / max(self.state.seen, 1),
            validation_loss=loss,
            validation_metric=metric,
            seconds=self.state.seconds + time.perf_counter() - started,
            best=is_best,
        )
        self._count_epoch(record, is_best)
        if stage.phase.refreeze:
            self._refreeze_if_unstable(stage, loss)
        return record

    def _count_epoch(self, record: EpochRecord, is_best: bool) -> None:
        state = self.state
        state.records.append(record.model_dump())
        state.stale = 0 if is_best else state.stale + 1
        state.epoch += 1
        state.epochs_done += 1
        state.step, state.loss_sum, state.seen, state.seconds = 0, 0.0, 0, 0.0

    def _solve_exactly(self, stage: Stage) -> Progress:
        """The convex head on the features of the network as it stands (pretrained, if this stage is the first)."""
        started = time.perf_counter()
        train = self.data.train
        weights = self._class_weights()
        solved = fit_exact(
            self._features(train),
            self.data.targets[train],
            self.data.task,
            class_weights=None if weights is None else weights.numpy(),
            groups=None if self.data.groups is None else self.data.groups[train],
            seed=self.seed,
        )
        self.network.head.load_state_dict(solved.head.state_dict())
        self.state.strength = solved.strength
        logits = self._logits(self._source or self._open_source(), train)
        self.state.loss_sum = float(self._judge_loss(logits, self._targets[train])) * len(train)
        self.state.seen = len(train)
        self.state.seconds = time.perf_counter() - started
        return self._progress(self._end_epoch(stage))

    # ---------------------------------------------------------------------------------------------- stages

    def _enter_stage(self, stage: Stage) -> None:
        """Set partition, modes, source, optimizer and penalty; a resumed stage keeps what was loaded."""
        is_fresh = self.state.epoch == 0 and self.state.step == 0
        if is_fresh:
            self.state.frozen_blocks = stage.frozen_blocks
            self.state.stale = self.state.rising = 0
            self.state.lowest = min(self.state.lowest, stage.frozen_blocks)
        self._partition(stage)
        self._source = self._open_source(stage)
        if stage.phase.solver == "exact":
            return
        self._optimizer = build_optimizer(self.network, self.blocks, self._as_it_stands(stage))
        if self._pending_optimizer is not None:
            restore_optimizer(self._optimizer, self._pending_optimizer)
            self._pending_optimizer = None
        strength = self.recipe.regime.objective.l2_sp
        self._penalty = self._starting_point_penalty(stage, strength) if strength else None
        if is_fresh and stage.phase.ema is not None:
            self._average = _clone(self._changing())

    def _leave_stage(self, stage: Stage) -> None:
        """Take up the best weights so far and move on."""
        improved = self.state.best_stage == self.state.stage
        if self._best:
            self._load_changing(self._best)
        self.state.stage += 1
        self.state.epoch = self.state.step = 0
        self._optimizer, self._penalty, self._average = None, None, {}
        is_over = self.state.stage >= len(self.recipe.stages) or self.state.diverged or self._reached_stop()
        self.state.finished = is_over or (stage.stop_unless_improved and not improved)

    def _partition(self, stage: Stage) -> None:
        partition = self._as_it_stands(stage).partition
        apply_partition(self.network, self.blocks, partition)
        apply_modes(self.network, self.blocks, partition, stage.phase.batchnorm)

    def _as_it_stands(self, stage: Stage) -> Stage:
        return stage.model_copy(update={"frozen_blocks": self.state.frozen_blocks})

    def _open_source(self, stage: Stage | None = None) -> Source:
        stage = stage or self.recipe.stages[min(self.state.stage, len(self.recipe.stages) - 1)]
        return source_for(
            self.network, self.data.bank, stage.phase, self.state.lowest, self.seed, self.device
        )

    def _refreeze_if_unstable(self, stage: Stage, loss: float | None) -> None:
        """Freeze the lowest trainable block after two rises in a row; the top block always trains."""
        if loss is None:
            return
        self.state.rising = self.state.rising + 1 if loss > self.state.last_loss else 0
        self.state.last_loss = loss
        if self.state.rising >= _REFREEZE_AFTER and self.state.frozen_blocks < len(self.blocks) - 1:
            self.state.frozen_blocks += 1
            self.state.rising = 0
            self._partition(stage)

    def _must_stop(self, stage: Stage) -> bool:
        patience = stage.phase.patience
        is_stale = patience is not None and len(self.data.validation) > 0 and self.state.stale >= patience
        return is_stale or self.state.diverged or self._reached_stop()

    def _reached_stop(self) -> bool:
        return self.stop_after is not None and self.state.epochs_done >= self.stop_after

    # ---------------------------------------------------------------------------------------------- judging

    @torch.no_grad()
    def _judge(self) -> tuple[float | None, float | None]:
        positions = self.data.validation
        if len(positions) == 0:
            return None, None
        logits = self._logits(self._source or self._open_source(), positions)
        loss = float(self._judge_loss(logits, self._targets[positions].to(self.device)))
        scores = predict_scores(self.data.task, logits).cpu().numpy()
        metric = check_metric(self.data.task)
        return loss, float(metric.function(self.data.targets[positions], scores, self.data.task))

    def _keep_if_best(self, loss: float | None, metric: float | None) -> bool:
        """Keep these weights if they are better than all before (ties: the earlier); without validation, always."""
        if loss is None or metric is None:
            figure = -float(self.state.epochs_done)
        elif self.recipe.regime.keep == "loss":
            figure = loss if math.isfinite(loss) else math.inf
        else:
            figure = -metric if check_metric(self.data.task).greater_is_better else metric
        if not figure < self.state.best:
            return False
        self.state.best = figure
        self.state.best_epoch = self.state.epochs_done
        self.state.best_stage = self.state.stage
        self._best = _clone(self._changing())
        return True

    @torch.no_grad()
    def _logits(self, source: Source, positions: Positions) -> Tensor:
        modes = {module: module.training for module in self.network.modules()}
        self.network.eval()
        outputs = []
        for start in range(0, len(positions), EVALUATION_BATCH):
            batch = source.read(positions[start : start + EVALUATION_BATCH], 0, False)
            outputs.append(self.network.head(source.features(batch)))
        for module, mode in modes.items():
            module.training = mode
        return torch.cat(outputs)

    @torch.no_grad()
    def _features(self, positions: Positions) -> Tensor:
        source = self._source or self._open_source()
        self.network.eval()
        starts = range(0, len(positions), EVALUATION_BATCH)
        return torch.cat(
            [source.features(source.read(positions[s : s + EVALUATION_BATCH], 0, False)) for s in starts]
        )

    # ---------------------------------------------------------------------------------------------- batches

    def _steps_per_epoch(self, stage: Stage) -> int:
        size = int(stage.phase.batch_size)
        rows = len(self.data.train)
        return max(math.ceil(rows / size) - (1 if rows % size == 1 and rows > 1 else 0), 1)

    def _batches(self, stage: Stage) -> Iterator[tuple[int, Positions]]:
        """This epoch's remaining batches; a last batch of one joins its neighbour, since batch statistics of one
        example are none."""
        order = np.random.default_rng((self.seed, self.state.epochs_done)).permutation(self.data.train)
        size, count = int(stage.phase.batch_size), self._steps_per_epoch(stage)
        for step in range(self.state.step, count):
            end = len(order) if step == count - 1 else (step + 1) * size
            yield step, order[step * size : end]

    def _progress(self, record: EpochRecord | None) -> Progress:
        steps = sum(int(stage.phase.epochs) * self._steps_per_epoch(stage) for stage in self.recipe.stages)
        return Progress(self.state.stage, self.state.steps_done, steps, record)

    # ---------------------------------------------------------------------------------------------- building

    def _build_module(self) -> nn.Module:
        if self.recipe.regime.init == "random":
            module = self.backbone.rebuild()
        elif self.recipe.cut == len(self.blocks):
            return self.backbone.module  # never changed, so never copied
        else:
            module = copy.deepcopy(self.backbone.module)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            if any(stage.phase.batchnorm == "sync" for stage in self.recipe.stages):
                module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return module.to(memory_format=torch.channels_last)

    def _build_head(self) -> Head:
        width, task, regime = self.backbone.width, self.data.task, self.recipe.regime
        head: Head = (
            LinearHead(width, task.outputs)
            if regime.head == "linear"
            else MLPHead(width, task.outputs, (regime.hidden,), regime.dropout)
        )
        if regime.init == "pretrained" and self.recipe.stages[0].phase.solver == "gradient":
            head.standardise_inputs(torch.from_numpy(self.data.bank.pooled().final[self.data.train].copy()))
        if task.kind == "regression":
            head.scale_outputs(torch.from_numpy(self.data.targets[self.data.train].astype(np.float32)))
        return head

    def _loss_function(self, *, plain: bool) -> SupervisedLoss:
        variance = 1.0
        if self.data.task.kind == "regression":
            variance = float(np.var(self.data.targets[self.data.train]))
        if plain:
            return SupervisedLoss(self.data.task, target_variance=variance)
        smoothing = self.recipe.regime.objective.label_smoothing
        weights = self._class_weights()
        return SupervisedLoss(
            self.data.task, smoothing, None if weights is None else weights.to(self.device), variance
        )

    def _class_weights(self) -> Tensor | None:
        if self.recipe.regime.objective.class_weights == "none" or not self.data.task.is_classification:
            return None
        return balanced_class_weights(self.data.targets[self.data.train], self.data.task.outputs)

    def _starting_point_penalty(self, stage: Stage, strength: float) -> StartingPointPenalty:
        groups = trainable_parameters(self.network, self.blocks, self._as_it_stands(stage).partition)
        pretrained = dict(self.backbone.module.named_parameters())
        pairs = [
            (parameter, pretrained[name])
            for block, members in groups.items()
            if block != "head"
            for name, parameter in members
        ]
        return StartingPointPenalty(pairs, strength)

    def _untouched_blocks(self) -> int:
        return 0 if self.recipe.regime.init == "random" else len(self.blocks)

    # ---------------------------------------------------------------------------------------------- weights

    def _changing(self) -> dict[str, Tensor]:
        """Every tensor that the recipe may change: the head, and the network where a stage unfreezes any of it."""
        if self.recipe.cut == len(self.blocks):
            return {f"head.{name}": value for name, value in self.network.head.state_dict().items()}
        return self.network.state_dict()

    @torch.no_grad()
    def _load_changing(self, tensors: dict[str, Tensor]) -> None:
        for name, value in self._changing().items():
            value.copy_(tensors[name])

    def _update_average(self, decay: float) -> None:
        for name, value in self._changing().items():
            average = self._average[name]
            if average.is_floating_point():
                average.lerp_(value.to(average.dtype), 1 - decay)
            else:
                average.copy_(value)

    def _averaged_weights(self) -> _Swapped:
        return _Swapped(self, self._average)

    def _frozen_tensors(self) -> dict[str, Tensor]:
        partition = Partition(min([s.frozen_blocks for s in self.recipe.stages], default=len(self.blocks)))
        if self.recipe.regime.init == "random" or partition.frozen_blocks == 0:
            return {}
        training = {id(p) for ms in trainable_parameters(self.network, self.blocks, partition).values() for _, p in ms}
        above = tuple(f"{m}." for b in self.blocks[partition.frozen_blocks :] for m in b.members)
        tensors = {n: p for n, p in self.network.backbone.named_parameters() if id(p) not in training}
        buffers = {n: b for n, b in self.network.backbone.named_buffers() if not n.startswith(above)}
        return {**tensors, **buffers}

    def _digest_of_frozen(self) -> str:
        return tensors_digest(self._frozen_tensors())

    def _verify_frozen(self) -> None:
        if self._digest_of_frozen() != self._frozen_digest:
            raise TrainingError(
                "A frozen weight or buffer changed during training.",
                "This is a defect: please report the backbone and the regime.",
            )

    # ---------------------------------------------------------------------------------------------- resume

    def save(self, path: Path) -> None:
        """Write the whole state; call it between steps."""
        groups = {"network": self._changing(), "best": self._best, "average": self._average}
        if self._optimizer is not None:
            groups["optimizer"] = optimizer_tensors(self._optimizer)
        groups["random"] = {"torch": torch.get_rng_state()}
        save_checkpoint(path, asdict(self.state), groups)

    def load(self, path: Path) -> bool:
        """Take up a saved state; False where there is no sound one, and the fit starts from the beginning."""
        loaded = load_checkpoint(path)
        if loaded is None:
            return False
        facts, groups = loaded
        self.state = _State(**facts)
        self._load_changing(groups["network"])
        self._best = _like(groups.get("best", {}), self._changing())
        self._average = _like(groups.get("average", {}), self._changing())
        self._pending_optimizer = groups.get("optimizer")
        torch.set_rng_state(groups["random"]["torch"])
        return True


class _Swapped:
    """Puts averaged weights into a fit's network for the length of a `with` block, where there are any."""

    def __init__(self, fit: Fit, average: dict[str, Tensor]) -> None:
        self.fit = fit
        self.average = average
        self.own: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        if self.average:
            self.own = _clone(self.fit._changing())
            self.fit._load_changing(self.average)

    def __exit__(self, *_: object) -> None:
        if self.average:
            self.fit._load_changing(self.own)


def _clone(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in tensors.items()}


def _like(saved: dict[str, Tensor], templates: dict[str, Tensor]) -> dict[str, Tensor]:
    """Saved tensors in the memory layout and on the device of the templates."""
    return {name: torch.empty_like(templates[name]).copy_(value) for name, value in saved.items()}


def _as_tensor(targets: NDArray[Any], task: Task) -> Tensor:
    return torch.from_numpy(targets.astype(np.int64 if task.is_classification else np.float32))
