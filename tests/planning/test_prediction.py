"""Predicted seconds follow what a stage has to run."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer, load_wine

from cutpoint.adapters.adapter import Adapter
from cutpoint.backbones.builtin import load_builtin
from cutpoint.heads.modules import LinearHead
from cutpoint.heads.trees import TreesHead
from cutpoint.planning.calibration import Calibration
from cutpoint.planning.prediction import predict_cost
from cutpoint.regimes import Phase, Regime, resolve_regimes
from cutpoint.regimes.recipe import resolve_recipe
from cutpoint.types import Cost, Task

BACKBONE = load_builtin()
BLOCKS = len(BACKBONE.blocks)
CALIBRATION = Calibration(
    forward_seconds=0.01,
    step_seconds=0.03,
    exact_seconds=1e-4,
    head_seconds=1e-5,
    flops=1000,
    flops_below=tuple(block / BLOCKS for block in range(BLOCKS + 1)),
    trainable=tuple(100 * (BLOCKS - block) for block in range(BLOCKS + 1)),
    parameters=100 * BLOCKS,
    buffers=0,
    activations_above=(0,) * (BLOCKS + 1),
    available_bytes=1 << 33,
)


def predicted(phase: Phase) -> Cost:
    task = Task(kind="binary", labels=("a", "b"))
    recipe = resolve_recipe(Regime(name="x", phases=(phase,)), BACKBONE, cut=None, rows=80, task=task)
    return predict_cost(
        recipe,
        CALIBRATION,
        width=BACKBONE.width,
        trainable=CALIBRATION.trainable[recipe.cut],
        task=task,
        rows=80,
        judged=20,
        fits=1,
        refit=False,
        can_cache=True,
    )


def test_head_on_augmented_images_runs_the_backbone_in_every_epoch() -> None:
    cached = predicted(Phase(train="head", rate=1e-3, epochs=10))
    live = predicted(Phase(train="head", rate=1e-3, epochs=10, augmentation="crop"))
    assert cached.seconds == pytest.approx(0.01 * 100 + 10 * 80 * 1e-5)
    assert (live.seconds or 0) - (cached.seconds or 0) == pytest.approx(10 * 0.01 * 100)


def test_a_base_in_four_bits_keeps_embeddings_and_norms_in_full() -> None:
    regime = Regime(
        name="x", adapter=Adapter(kind="lora", rank=4, base="nf4"), phases=(Phase(train="adapter"),)
    )
    task = Task(kind="binary", labels=("a", "b"))
    recipe = resolve_recipe(regime, BACKBONE, cut=None, rows=80, task=task)
    figures = {"width": 1, "trainable": 10, "task": task, "rows": 80, "judged": 20, "fits": 1}

    def memory(linear: int, mixed: bool = False) -> int:
        facts = {"parameters": 1 << 20, "linear_weights": linear, "mixed_precision": mixed}
        calibration = CALIBRATION.model_copy(update=facts)
        cost = predict_cost(recipe, calibration, refit=False, can_cache=False, **figures)  # type: ignore[arg-type]
        return cost.peak_memory_bytes or 0

    assert memory(0) - memory(1 << 19) == pytest.approx((4 - 0.516) * (1 << 19), rel=1e-3)
    assert memory(1 << 20, mixed=True) < memory(0, mixed=True) - (5 << 20)


def test_a_head_on_many_rows_takes_no_more_memory_than_on_some() -> None:
    (regime,) = resolve_regimes("linear-probe")
    task = Task(kind="binary", labels=("a", "b"))

    def memory(rows: int) -> int:
        recipe = resolve_recipe(regime, BACKBONE, cut=None, rows=rows, task=task)
        figures = {"width": 1280, "trainable": 0, "task": task, "judged": 20, "fits": 1}
        cost = predict_cost(recipe, CALIBRATION, rows=rows, refit=False, can_cache=True, **figures)  # type: ignore[arg-type]
        return cost.peak_memory_bytes or 0

    assert memory(100) < memory(2_000) < 120_000_000
    assert memory(100_000) == memory(10_000) < 120_000_000


def test_a_fixed_rate_has_its_short_run_as_open_ones_have() -> None:
    fixed = predicted(Phase(train="all", rate=1e-3, epochs=8)).seconds or 0.0
    caching = CALIBRATION.forward_seconds * CALIBRATION.flops_below[0] * 100
    one = 8 * (80 * CALIBRATION.step_seconds + 20 * CALIBRATION.forward_seconds)
    assert fixed == pytest.approx(1.25 * one + caching)


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
@pytest.mark.parametrize("name", ["gradient-boosting", "linear-probe"])
def test_what_heads_of_tables_store_is_predicted(load: Any, name: str) -> None:
    table = load()
    width, labels = table.data.shape[1], tuple(map(str, table.target_names))
    task = Task(kind="binary" if len(labels) == 2 else "multiclass", labels=labels)
    (regime,) = resolve_regimes(name)
    cost = predict_cost(
        resolve_recipe(regime, BACKBONE, cut=None, rows=80, task=task),
        CALIBRATION,
        width=width,
        trainable=0,
        task=task,
        rows=80,
        judged=20,
        fits=1,
        refit=False,
        can_cache=True,
    )
    head = (TreesHead if regime.head == "trees" else LinearHead)(width, task.outputs)
    stored = sum(tensor.numel() * tensor.element_size() for tensor in head.state_dict().values())
    assert cost.stored_bytes == pytest.approx(stored, rel=0.01)
