"""The cut that is known before anything is computed, so that its activations come out of the first pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cutpoint.backbones.backbone import Backbone
from cutpoint.features.cut import valid_cuts
from cutpoint.regimes.injection import why_not_here
from cutpoint.regimes.recipe import resolve_recipe
from cutpoint.regimes.regime import Regime
from cutpoint.types import Task


def known_cut(backbone: Backbone, regimes: Sequence[Regime], cut: int | str | None, task: Task) -> int | None:
    """The one inner cut at which regimes will read cached activations, in frozen blocks.

    Args:
        backbone: What is cut.
        regimes: That race on it.
        cut: The user's, for regimes that leave theirs open.
        task: What is predicted.

    Returns:
        None where there is none, or several, or where the every-layer probe is to choose it.
    """
    cuts = {found for regime in regimes for found in _cuts(backbone, regime, cut, task)}
    if len(cuts) != 1:
        return None
    (only,) = cuts
    return only if only in valid_cuts(backbone).valid else None


def _cuts(backbone: Backbone, regime: Regime, cut: int | str | None, task: Task) -> Iterator[int]:
    is_open = regime.needs_cut and cut is None
    if is_open or regime.starts_changed or why_not_here(regime, backbone, task):
        return
    for stage in resolve_recipe(regime, backbone, cut=cut, rows=1, task=task).stages:
        is_cached = stage.phase.solver == "gradient" and stage.phase.augmentation == "none"
        if is_cached and 0 < stage.frozen_blocks < len(backbone.blocks):
            yield stage.frozen_blocks
