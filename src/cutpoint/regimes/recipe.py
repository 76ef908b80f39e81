"""A regime on a given backbone and data: every "auto" resolved once, to numbers that are recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.position import cut_position
from cutpoint.errors import RegimeError
from cutpoint.regimes.partition import Partition
from cutpoint.regimes.regime import Phase, Regime
from cutpoint.types import Record

# Fine-tuning is budgeted by steps, not epochs: few labels need many passes, many labels few.
TARGET_STEPS = 600
EPOCHS = (8, 40)
BATCH_SIZES = (16, 32)
"""Below and from `SMALL_ROWS` training rows."""
SMALL_ROWS = 500
HEAD_EPOCHS = 60
# Rates worth a short trial. Convolutions with fixed BatchNorm statistics take about ten times the rate of
# transformers; both ladders stay at or below what the networks were pretrained with.
CONVOLUTION_RATES = (3e-4, 1e-3)
TRANSFORMER_RATES = (3e-5, 1e-4)


class Stage(Record):
    """One phase with its partition and numbers; what the loop runs."""

    phase: Phase
    frozen_blocks: int
    pattern: str | None = None
    stop_unless_improved: bool = False

    @property
    def partition(self) -> Partition:
        return Partition(self.frozen_blocks, self.pattern)


class Recipe(Record):
    """A resolved regime."""

    regime: Regime
    stages: tuple[Stage, ...]
    cut: int
    """Frozen blocks of the lowest stage: what the trial is said to be cut at."""
    rate_candidates: tuple[float, ...] = ()
    """Rates still to be chosen between by short runs; empty when every rate is fixed."""

    def with_rate(self, rate: float) -> Recipe:
        """The same recipe with `rate` wherever the regime left it open."""
        stages = tuple(
            stage.model_copy(update={"phase": stage.phase.model_copy(update={"rate": rate})})
            if stage.phase.rate == "auto"
            else stage
            for stage in self.stages
        )
        return self.model_copy(update={"stages": stages, "rate_candidates": ()})

    def with_epochs(self, epochs: Sequence[int]) -> Recipe:
        """The same recipe with these numbers of epochs, one a stage."""
        stages = tuple(
            stage.model_copy(update={"phase": stage.phase.model_copy(update={"epochs": count})})
            for stage, count in zip(self.stages, epochs, strict=True)
        )
        return self.model_copy(update={"stages": stages})


def resolve_recipe(regime: Regime, backbone: Backbone, *, cut: int | str | None, rows: int) -> Recipe:
    """Resolve a regime for a backbone and a number of training rows.

    Args:
        regime: What to resolve.
        backbone: Gives the order of blocks.
        cut: Where phases that say "cut" cut: frozen blocks, a block's name, or a pattern. May be None if no
            phase says so.
        rows: Training rows of one fit.

    Raises:
        RegimeError: A phase needs a cut and none is given.
    """
    stages: list[Stage] = []
    for phase in regime.phases:
        stages.extend(_stages(regime, phase, backbone, cut, rows))
    candidates: tuple[float, ...] = ()
    if any(stage.phase.rate == "auto" and stage.phase.solver == "gradient" for stage in stages):
        candidates = TRANSFORMER_RATES if _is_transformer(backbone) else CONVOLUTION_RATES
    lowest = min((stage.frozen_blocks for stage in stages), default=len(backbone.blocks))
    recipe = Recipe(regime=regime, stages=tuple(stages), cut=lowest, rate_candidates=candidates)
    return recipe.with_rate(candidates[0]) if len(candidates) == 1 else recipe


def partition_of(phase: Phase, backbone: Backbone, cut: int | str | None) -> Partition:
    """What a phase trains on this backbone.

    Raises:
        RegimeError: The phase says "cut" and none is given.
        BackboneError: A block or pattern that the backbone does not have.
    """
    where: int | str | None = cut if phase.train == "cut" else phase.train
    if where is None:
        raise RegimeError(
            "This regime trains the blocks above a cut, and no cut is given.",
            "Give one with --cut: a number of frozen blocks, a block's name or a pattern.",
        )
    if where == "head":
        return Partition(len(backbone.blocks))
    if where == "all":
        return Partition(0)
    pattern = where if isinstance(where, str) and any(mark in where for mark in "*?[") else None
    return Partition(cut_position(backbone, where), pattern)


def _stages(
    regime: Regime, phase: Phase, backbone: Backbone, cut: int | str | None, rows: int
) -> list[Stage]:
    partition = partition_of(phase, backbone, cut)
    numbers = phase.model_copy(update=_resolved_numbers(phase, rows))
    if not phase.one_block_at_a_time:
        return [Stage(phase=numbers, frozen_blocks=partition.frozen_blocks, pattern=partition.pattern)]
    from_the_top = range(len(backbone.blocks) - 1, partition.frozen_blocks - 1, -1)
    return [
        Stage(
            phase=numbers,
            frozen_blocks=frozen,
            pattern=partition.pattern,
            stop_unless_improved=phase.until_plateau,
        )
        for frozen in from_the_top
    ]


def _resolved_numbers(phase: Phase, rows: int) -> dict[str, int]:
    batch_size = phase.batch_size
    if batch_size == "auto":
        batch_size = BATCH_SIZES[rows >= SMALL_ROWS]
    epochs = phase.epochs
    if epochs == "auto":
        epochs = HEAD_EPOCHS if phase.train == "head" else _epochs(rows, batch_size)
    return {"batch_size": batch_size, "epochs": 0 if phase.solver == "exact" else epochs}


def _epochs(rows: int, batch_size: int) -> int:
    steps = math.ceil(rows / batch_size)
    return min(max(math.ceil(TARGET_STEPS / steps), EPOCHS[0]), EPOCHS[1])


def _is_transformer(backbone: Backbone) -> bool:
    names = {type(module).__name__.lower() for module in backbone.module.modules()}
    return any("attention" in name for name in names)
