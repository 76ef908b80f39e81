"""The every-layer probe and the cuts that it proposes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.builtin import load_builtin
from cutpoint.features.activations import PooledFeatures
from cutpoint.features.layer_probe import probe_layers, proposed_cuts
from cutpoint.types import LayerProbe, Task

CLASSES = Task(kind="multiclass", labels=("a", "b", "c"))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_builtin()


def pooled(backbone: Backbone, targets: np.ndarray, useful: int) -> PooledFeatures:
    """Noise everywhere; block `useful` (from 0) shows the target."""
    random = np.random.default_rng(0)
    blocks = [random.normal(size=(len(targets), 6)).astype(np.float32) for _ in backbone.blocks]
    blocks[useful][:, 0] += 8 * targets
    return PooledFeatures(blocks[-1], tuple(blocks))


def curve(*scores: float) -> list[LayerProbe]:
    return [LayerProbe(index=i, block=f"b{i}", width=4, score=s) for i, s in enumerate(scores, start=1)]


def test_curve_finds_the_block_that_shows_the_target(backbone: Backbone) -> None:
    targets = np.arange(90) % 3
    found = probe_layers(backbone, pooled(backbone, targets, 1), targets, CLASSES)
    assert [layer.index for layer in found] == list(range(1, len(backbone.blocks) + 1))
    assert [layer.block for layer in found] == [block.name for block in backbone.blocks]
    best = max(found, key=lambda layer: layer.score)
    assert best.index == 2 and best.score > 0.95
    assert best == max(found, key=lambda layer: layer.logme or -math.inf)
    assert best == max(found, key=lambda layer: layer.h_score or -math.inf)
    values = Task(kind="regression", metric="r2")
    regression = probe_layers(backbone, pooled(backbone, targets, 1), targets.astype(np.float32), values)
    assert max(regression, key=lambda layer: layer.score).index == 2
    assert all(layer.h_score is None for layer in regression)


def test_class_with_one_example_is_left_out_of_the_curve(backbone: Backbone) -> None:
    targets = np.append(np.arange(40) % 2, 2)
    found = probe_layers(backbone, pooled(backbone, targets, 0), targets, CLASSES)
    assert len(found) == len(backbone.blocks)
    assert all(math.isfinite(layer.score) for layer in found) and found[0].score > 0.95
    assert all(
        "NaN" not in layer.model_dump_json() and '"score":null' not in layer.model_dump_json()
        for layer in found
    )


@pytest.mark.parametrize("targets", [[0, 1, 2], [0, 0, 0, 0, 1], [0, 0, 0]])
def test_too_few_examples_give_no_curve(backbone: Backbone, targets: list[int]) -> None:
    given = np.array(targets)
    assert probe_layers(backbone, pooled(backbone, given, 0), given, CLASSES) == ()


def test_block_whose_features_are_not_finite_has_no_row(backbone: Backbone) -> None:
    targets = np.arange(30) % 3
    features = pooled(backbone, targets, 1)
    features.blocks[0][3, 2] = np.inf
    found = probe_layers(backbone, features, targets, CLASSES)
    assert [layer.index for layer in found] == list(range(2, len(backbone.blocks) + 1))


def test_first_cut_at_the_best_block_second_at_half_of_it() -> None:
    everywhere = range(9)
    assert proposed_cuts(curve(0.1, 0.2, 0.3, 0.9, 0.8, 0.7, 0.6, 0.5), everywhere) == (4, 2)
    assert proposed_cuts(curve(*[0.1 * i for i in range(8)]), everywhere) == (6, 3)  # never the very top
    assert proposed_cuts(curve(0.9, *[0.1] * 7), everywhere) == (1,)
    assert proposed_cuts((), everywhere) == (6, 3)
    errors = curve(9, 8, 7, 1, 6, 7, 8, 9)
    assert proposed_cuts(errors, everywhere, greater_is_better=False) == (4, 2)


def test_only_valid_cuts_are_proposed_and_ties_go_to_the_lower() -> None:
    rising = curve(0.1, 0.2, 0.3, 0.9, 0.8, 0.7, 0.6, 0.5)
    assert proposed_cuts(rising, (0, 3, 5, 8)) == (3,)
    assert proposed_cuts(rising, (0, 1, 5, 8)) == (5, 1)
    assert proposed_cuts(rising, (0, 8)) == ()
    assert proposed_cuts((), ()) == ()
    assert proposed_cuts(curve(0.5, 0.5, 0.5, 0.5), range(5)) == (1,)
