"""A regime on a given backbone and data: every "auto" resolved once, to numbers that are recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.position import cut_position
from cutpoint.errors import RegimeError
from cutpoint.regimes.injection import first_injected_block
from cutpoint.regimes.partition import Partition
from cutpoint.regimes.regime import Phase, Regime
from cutpoint.types import Record, Task, TextPreprocessing

# Fine-tuning is budgeted by steps, not epochs: few labels need many passes, many labels few.
TARGET_STEPS = 600
EPOCHS = {"image": (8, 40), "text": (3, 20), "language": (1, 5)}
"""Least and most: an image network sees crops and needs many passes, a language model learns from every token."""
BATCH_SIZES = (16, 32)
"""Below and from `SMALL_ROWS` training rows."""
SMALL_ROWS = 500
HEAD_EPOCHS = 60
CONTRASTIVE_STEPS = 150
"""Of batches whose pairs are all compared: more changes little (SetFit caps its pairs likewise)."""
# Rates worth a short trial. Convolutions with fixed BatchNorm statistics take about ten times the rate of
# transformers; both ladders stay at or below what the networks were pretrained with.
CONVOLUTION_RATES = (3e-4, 1e-3)
TRANSFORMER_RATES = (3e-5, 1e-4)
LANGUAGE_RATES = (3e-5, 3e-4)
# Adapters start from nothing and take ten times the rate of the weights that they stand in for.
ADAPTER_RATES = (3e-4, 1e-3)
FIRST_RANK = 16


class Stage(Record):
    """One phase with its partition and numbers; what the loop runs."""

    phase: Phase
    frozen_blocks: int
    pattern: str | None = None
    stop_unless_improved: bool = False

    @property
    def partition(self) -> Partition:
        return Partition(self.frozen_blocks, self.pattern, adapter=self.phase.train == "adapter")


class Recipe(Record):
    """A resolved regime."""

    regime: Regime
    stages: tuple[Stage, ...]
    cut: int
    """Frozen blocks of the lowest stage: what the trial is said to be cut at."""
    rate_candidates: tuple[float, ...] = ()
    """Rates still to be chosen between by short runs; empty when every rate is fixed."""
    rank_is_open: bool = False
    """Whether short runs are still to choose the adapter's rank, climbing from `FIRST_RANK`."""

    def with_rate(self, rate: float) -> Recipe:
        """The same recipe with `rate` wherever the regime left it open."""
        stages = tuple(
            stage.model_copy(update={"phase": stage.phase.model_copy(update={"rate": rate})})
            if stage.phase.rate == "auto"
            else stage
            for stage in self.stages
        )
        return self.model_copy(update={"stages": stages, "rate_candidates": ()})

    def with_rank(self, rank: int) -> Recipe:
        """The same recipe with that rank of its adapter."""
        if self.regime.adapter is None:
            return self
        adapter = self.regime.adapter.model_copy(update={"rank": rank})
        return self.model_copy(update={"regime": self.regime.model_copy(update={"adapter": adapter})})

    def with_epochs(self, epochs: Sequence[int]) -> Recipe:
        """The same recipe with these numbers of epochs, one a stage."""
        stages = tuple(
            stage.model_copy(update={"phase": stage.phase.model_copy(update={"epochs": count})})
            for stage, count in zip(self.stages, epochs, strict=True)
        )
        return self.model_copy(update={"stages": stages})


def resolve_recipe(
    regime: Regime, backbone: Backbone, *, cut: int | str | None, rows: int, task: Task
) -> Recipe:
    """Resolve a regime for a backbone and a number of training rows.

    Args:
        regime: What to resolve.
        backbone: Gives the order of blocks.
        cut: Where phases that say "cut" cut: frozen blocks, a block's name, or a pattern. May be None if no
            phase says so. Adapters are injected above it, where it is given.
        rows: Training rows of one fit.
        task: What is predicted. Language models bring their head, and phases that would train one fall away.

    Raises:
        RegimeError: A phase needs a cut and none is given.
    """
    if task.kind == "language":  # perplexity is of the plain likelihood
        objective = regime.objective.model_copy(update={"label_smoothing": 0.0})
        regime = regime.model_copy(update={"objective": objective})
    stages: list[Stage] = []
    for phase in regime.phases:
        if not (task.kind == "language" and phase.train == "head" and phase.solver != "none"):
            stages.extend(_stages(regime, phase, backbone, cut, rows))
    candidates: tuple[float, ...] = ()
    if any(stage.phase.rate == "auto" and stage.phase.solver == "gradient" for stage in stages):
        candidates = _rates(regime, backbone)
    lowest = min((stage.frozen_blocks for stage in stages), default=len(backbone.blocks))
    recipe = Recipe(regime=regime, stages=tuple(stages), cut=lowest, rate_candidates=candidates)
    if regime.adapter is not None and regime.adapter.rank == "auto":
        recipe = recipe.with_rank(FIRST_RANK).model_copy(update={"rank_is_open": True})
    return recipe.with_rate(candidates[0]) if len(candidates) == 1 else recipe


def partition_of(regime: Regime, phase: Phase, backbone: Backbone, cut: int | str | None) -> Partition:
    """What a phase of a regime trains on this backbone.

    Raises:
        RegimeError: The phase says "cut" and none is given.
        BackboneError: A block or pattern that the backbone does not have.
    """
    if phase.train == "adapter" and regime.adapter is not None:
        above = 0 if cut is None else cut_position(backbone, cut)
        return Partition(first_injected_block(backbone, regime.adapter, above), adapter=True)
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
    partition = partition_of(regime, phase, backbone, cut)
    numbers = phase.model_copy(
        update={**_resolved_numbers(phase, backbone, rows), **_without_views(phase, backbone)}
    )
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


def _resolved_numbers(phase: Phase, backbone: Backbone, rows: int) -> dict[str, int]:
    batch_size = phase.batch_size
    if batch_size == "auto":
        batch_size = BATCH_SIZES[rows >= SMALL_ROWS]
    epochs = phase.epochs
    if epochs == "auto":
        epochs = HEAD_EPOCHS if phase.train == "head" else _epochs(phase, backbone, rows, batch_size)
    return {"batch_size": batch_size, "epochs": epochs if phase.solver == "gradient" else 0}


def _without_views(phase: Phase, backbone: Backbone) -> dict[str, str | int]:
    """Random views are of images: other inputs pass as they are."""
    if backbone.preprocessing.kind == "image":
        return {}
    mix = "none" if backbone.inputs.shape is None else phase.mix
    return {"augmentation": "none", "views": 0, "mix": mix}


def _epochs(phase: Phase, backbone: Backbone, rows: int, batch_size: int) -> int:
    steps = math.ceil(rows / batch_size)
    if phase.loss == "contrastive":
        return max(round(CONTRASTIVE_STEPS / steps), 1)
    least, most = EPOCHS[_kind(backbone)]
    return min(max(math.ceil(TARGET_STEPS / steps), least), most)


def _kind(backbone: Backbone) -> str:
    preprocessing = backbone.preprocessing
    if isinstance(preprocessing, TextPreprocessing):
        return "language" if preprocessing.readout == "language" else "text"
    return "image"


def _rates(regime: Regime, backbone: Backbone) -> tuple[float, ...]:
    if regime.adapter is not None:
        return ADAPTER_RATES
    if _kind(backbone) == "language":
        return LANGUAGE_RATES
    names = {type(module).__name__.lower() for module in backbone.module.modules()}
    is_transformer = any("attention" in name for name in names)
    return TRANSFORMER_RATES if is_transformer else CONVOLUTION_RATES
