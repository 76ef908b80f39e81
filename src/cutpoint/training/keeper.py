"""Which weights of a fit are kept."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from cutpoint.regimes.recipe import Recipe
from cutpoint.training.judge import Judge
from cutpoint.training.state import FitData, FitState
from cutpoint.training.weights import ChangingWeights


class Keeper:
    """The best weights so far; before any was judged, the initial ones.

    Where validation selects, the best are those with the best validation figure, ties to the earlier epoch.
    Where it only judges, or there is none, they are the last ones; but a recipe that unfreezes until a plateau
    compares the ends of its stages even then. A head that is solved to start from is no candidate: what the
    blocks above learn from there is what the regime is judged by, and the race compares it with the probe.

    Args:
        weights: What may change.
        judge: Turns loss and metric into the figure that decides.
        recipe: Says which figure that is.
        data: Says whether validation selects.
    """

    def __init__(self, weights: ChangingWeights, judge: Judge, recipe: Recipe, data: FitData) -> None:
        until_plateau = any(stage.stop_unless_improved for stage in recipe.stages)
        self.best = weights.copy()
        self._weights = weights
        self._judge = judge
        self._keep = recipe.regime.keep
        self._is_judged = len(data.validation) > 0
        self._compares = self._is_judged and (data.selects or until_plateau)
        self._until_plateau = until_plateau
        self._at_ends_only = self._is_judged and until_plateau and not data.selects

    def offer(
        self,
        state: FitState,
        loss: float | None,
        metric: float | None,
        *,
        ends_stage: bool,
        is_start: bool,
    ) -> bool:
        """Keep the weights as they are if they are the best; note that, or that they diverged, in the state."""
        if self._is_judged and (loss is None or metric is None):
            state.diverged = True
            return False
        if is_start and not self._until_plateau:
            self.go_on()
            return False
        if self._at_ends_only and not ends_stage:
            return False
        figure = -float(state.epochs_done)
        if self._compares and loss is not None and metric is not None:
            figure = self._judge.figure(self._keep, loss, metric)
        if figure >= state.best:
            return False
        state.best, state.best_epoch, state.best_stage = figure, state.epochs_done, state.stage
        self.best = self._weights.copy()
        return True

    def go_on(self) -> None:
        """Take the weights as they are for the ones to go on from, judged or not."""
        self.best = self._weights.copy()

    def put_back(self) -> None:
        """The network runs on the kept weights again."""
        self._weights.load(self.best)

    def resume(self, saved: Mapping[str, Tensor]) -> None:
        """Take up the kept weights of an interrupted fit."""
        self.best = self._weights.like_current(saved)
