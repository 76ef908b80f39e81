"""What a trial will cost, predicted from the calibration: seconds, trainable parameters, stored bytes, operations."""

from __future__ import annotations

from cutpoint.heads.boosting import expected_seconds
from cutpoint.heads.streamed_path import HELD_BYTES, are_many
from cutpoint.heads.trees import bytes_of, parameters_of
from cutpoint.planning.calibration import Calibration
from cutpoint.planning.memory import HELD_WITH_ADAPTER, coming_and_going, predict_memory
from cutpoint.regimes.recipe import Recipe, Stage
from cutpoint.types import Cost, Task

RATE_SHARE = 0.25
"""Share of a fit's epochs that each candidate rate is tried for."""
SHORT_PARTS = 3
"""Parts of cross-validated rows that judge the rate that was chosen, one after the other."""
_RANKS_TRIED = 2
"""Ranks beside the first that are tried at least."""
_CHECKPOINTED_SHARE = 0.5
"""Of the activations that are there at once where those of a block are computed again: measured on eight blocks
(benchmarks/language_memory.py); of more blocks it is less (Chen et al. 2016)."""
_SOLVING_BYTES = 24
"""For each number of the features that a head is solved on: turned onto their axes in float64 and float32, and both
once more for the rows with and without a fold."""
_FLOAT_BYTES = 4


def predict_cost(
    recipe: Recipe,
    calibration: Calibration,
    *,
    width: int,
    trainable: int,
    task: Task,
    rows: int,
    judged: int,
    fits: int,
    refit: bool,
    can_cache: bool,
    kept: float = 1.0,
) -> Cost:
    """Predict one trial.

    Args:
        recipe: Resolved for these rows.
        calibration: Of the backbone on this machine.
        width: Pooled features per example.
        trainable: Parameters of the backbone, or of its adapter, that train in the recipe's lowest stage.
        task: What is predicted.
        rows: Training rows of one fit.
        judged: Validation rows of one fit.
        fits: Fits that are judged.
        refit: Whether a last fit on all rows follows if the trial takes the lead.
        can_cache: Whether activations at the recipe's cut may be stored.
        kept: Share of the blocks' activations that an adapter keeps (`share_with_adapter`).
    """
    one = fit_seconds(recipe, calibration, rows, judged, can_cache)
    if recipe.regime.head == "trees":
        one += expected_seconds(rows, width, task.outputs)
    short_runs = len(recipe.rate_candidates) + _RANKS_TRIED * recipe.rank_is_open
    if not recipe.regime.is_head_only:  # a fixed rate has its short run, too
        short_runs += (not recipe.rate_candidates) + (SHORT_PARTS - 1) * refit
    search = RATE_SHARE * short_runs * one
    share_below = calibration.flops_below[recipe.cut]
    caching = calibration.forward_seconds * share_below * (rows + judged) if can_cache else 0.0
    head = _head_parameters(recipe, width, task)
    return Cost(
        peak_memory_bytes=_memory(recipe, calibration, head, trainable, rows, width, kept),
        seconds=one * fits + search + caching + (one * (rows + judged) / rows if refit else 0.0),
        trainable_parameters=head + trainable,
        total_parameters=calibration.parameters + head + (trainable if recipe.regime.adapter else 0),
        stored_bytes=_head_bytes(recipe, head, width, task) + _FLOAT_BYTES * trainable,
        flops=calibration.flops + 2 * head,
        latency_ms=1e3 * calibration.latency_seconds,
    )


def fit_seconds(recipe: Recipe, calibration: Calibration, rows: int, judged: int, can_cache: bool) -> float:
    """Seconds of one fit on so many training and validation rows, its features at hand."""
    return sum(_stage_seconds(stage, calibration, rows, judged, can_cache) for stage in recipe.stages)


def _memory(
    recipe: Recipe, calibration: Calibration, head: int, trainable: int, rows: int, width: int, kept: float
) -> int:
    """Bytes that one fit adds to the process: in its dearest step, or while its head is solved."""
    adapter = recipe.regime.adapter
    solved = _solving(recipe, rows, width)
    if recipe.cut == len(calibration.trainable) - 1:  # the backbone itself is there already
        return predict_memory(head, head, copies=1) + solved
    added = trainable if adapter is not None else 0
    standing = predict_memory(
        calibration.parameters + head + added,
        trainable + head,
        precision="nf4" if adapter is not None and adapter.base == "nf4" else "float32",
        unquantised=calibration.parameters - calibration.linear_weights,
        mixed_precision=calibration.mixed_precision,
        copies=1,
    )
    gradients = _FLOAT_BYTES * trainable  # they come as activations go, and are counted with them
    has_holes = adapter is not None and calibration.heap_share > 1
    heap = HELD_WITH_ADAPTER if has_holes else calibration.heap_share
    moving = round(heap * _moving(recipe, calibration, trainable, rows, kept))
    return standing - gradients + max(moving, solved)


def _solving(recipe: Recipe, rows: int, width: int) -> int:
    """Bytes while a head is solved; many features are read chunk by chunk."""
    if not any(stage.phase.solver == "exact" for stage in recipe.stages):
        return 0
    return _SOLVING_BYTES * (HELD_BYTES // 8 if are_many(rows, width) else rows * width)


def _moving(recipe: Recipe, calibration: Calibration, trainable: int, rows: int, kept: float) -> int:
    """Bytes of activations and gradients at once, in the step where they are most."""
    adapter, cut = recipe.regime.adapter, recipe.cut
    at_once = max((passing(stage) for stage in recipe.stages if stage.phase.solver == "gradient"), default=0)
    kept *= _CHECKPOINTED_SHARE if recipe.regime.checkpointing else 1.0
    activations = [round(above * kept * min(at_once, rows)) for above in calibration.activations_above[cut:]]
    if adapter is not None:  # what is injected is small, and lies anywhere
        return activations[0] + _FLOAT_BYTES * trainable
    return coming_and_going(activations, calibration.trainable[cut:])


def passing(stage: Stage) -> int:
    """Examples that pass through the network at once."""
    return int(stage.phase.micro_batch or stage.phase.batch_size)


def _stage_seconds(stage: Stage, calibration: Calibration, rows: int, judged: int, can_cache: bool) -> float:
    if stage.phase.solver != "gradient":
        return calibration.exact_seconds * rows if stage.phase.solver == "exact" else 0.0
    epochs = int(stage.phase.epochs)
    below = calibration.flops_below[stage.frozen_blocks]
    if stage.frozen_blocks == len(calibration.trainable) - 1:
        # Augmented inputs pass through the frozen backbone in every epoch.
        seen = 0.0 if stage.phase.augmentation == "none" else calibration.forward_seconds * (rows + judged)
        return epochs * (calibration.head_seconds * rows + seen)
    is_live = (stage.phase.augmentation != "none" and stage.phase.views == 0) or not can_cache
    train = calibration.step_seconds * (1 - below) + (calibration.forward_seconds * below if is_live else 0.0)
    judge = calibration.forward_seconds * (1.0 if is_live else 1 - below)
    return epochs * (train * rows + judge * judged)


def _head_parameters(recipe: Recipe, width: int, task: Task) -> int:
    if task.kind == "language":
        return 0
    if recipe.regime.head == "trees":
        return parameters_of(task.outputs)
    if recipe.regime.head == "linear":
        return (width + 1) * task.outputs
    hidden = recipe.regime.hidden
    return (width + 1) * hidden + (hidden + 1) * task.outputs


def _head_bytes(recipe: Recipe, parameters: int, width: int, task: Task) -> int:
    """Bytes that a head is stored in, with the scales of what goes in and comes out."""
    if task.kind == "language":
        return 0
    scales = 2 * _FLOAT_BYTES * (width + task.outputs)
    return scales + (bytes_of(task.outputs) if recipe.regime.head == "trees" else _FLOAT_BYTES * parameters)
