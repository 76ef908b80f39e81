"""One trial with all that its fits need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cutpoint.planning.judging import Rows
from cutpoint.planning.plan import PlannedTrial
from cutpoint.planning.watcher import Watcher
from cutpoint.race.ground import Ground
from cutpoint.race.run_folder import RunFolder
from cutpoint.regimes.recipe import Recipe
from cutpoint.training.fit import Fit


@dataclass(frozen=True)
class Attempt:
    """What short runs and whole ones of a trial share.

    Attributes:
        planned: The trial.
        ground: Data, backbone and settings.
        run_folder: Of the race.
        watcher: Hears of the progress.
        check_time: Called between steps; raises to stop when the budget is spent.
    """

    planned: PlannedTrial
    ground: Ground
    run_folder: RunFolder
    watcher: Watcher
    check_time: Callable[[], None]

    @property
    def folder(self) -> Path:
        """The trial's own."""
        return self.run_folder.trial(self.planned.id)

    def fit(self, recipe: Recipe, train: Rows, held: Rows, stop_after: int | None = None) -> Fit:
        """A fit on these rows that has not begun; arguments as for `Fit`."""
        return Fit(
            recipe,
            self.ground.fit_data(train, held),
            seed=self.ground.settings.seed,
            device=self.ground.device,
            stop_after=stop_after,
        )
