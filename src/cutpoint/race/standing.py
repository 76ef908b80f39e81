"""Who leads a race, and all that has happened in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cutpoint.evaluation.comparison import LIKELY, PROVEN, compare
from cutpoint.planning.judging import Judging, Rows
from cutpoint.planning.plan import PlannedTrial
from cutpoint.planning.settings import Settings
from cutpoint.race.trial import TrialRun
from cutpoint.types import Comparison, Dataset, Finding, Screened, Trial


@dataclass
class Standing:
    """The state of a race between two trials."""

    judging: Judging
    trials: list[Trial] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    screening: list[Screened] = field(default_factory=list)
    predictions: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Trial → (repeats, judged rows, …) scores of a trial that was run to its end."""
    runs: dict[str, TrialRun] = field(default_factory=dict)
    remedies: dict[str, str] = field(default_factory=dict)
    """Trial that was not planned at first → why it is tried."""
    leader: Trial | None = None
    spent: dict[str, float] = field(default_factory=dict)
    """Trial → seconds of as much of it as was run, as the plan predicted them."""

    @property
    def predicted_seconds(self) -> float:
        """Of everything that was run; a short run is a part of the trial that follows it."""
        return sum(self.spent.values())

    def record(self, trial: Trial) -> Trial:
        """Take up how a trial ended; one that is tried as a remedy says so."""
        if trial.id in self.remedies:
            tried = Finding(code="remedy", severity="info", text=f"Tried because {self.remedies[trial.id]}.")
            trial = trial.model_copy(update={"findings": (*trial.findings, tried)})
        self.trials.append(trial)
        return trial

    def leading_on(self, rows: Rows) -> NDArray[np.float32] | None:
        """(repeats, rows, …) scores of the leader; None while nothing leads."""
        if self.leader is None:
            return None
        return self.predictions[self.leader.id][:, np.searchsorted(self.judging.judged, rows)]

    def compare(
        self, dataset: Dataset, settings: Settings, planned: PlannedTrial, predictions: NDArray[np.float32]
    ) -> Comparison | None:
        """A finished trial against the leader; None while nothing leads.

        From scratch is the control: to ship it, its gain must be proven.
        """
        if self.leader is None:
            return None
        judged = self.judging.judged
        is_control = planned.recipe.regime.init == "random"
        return compare(
            dataset.task,
            dataset.targets[judged],
            self.predictions[self.leader.id],
            predictions,
            leader_id=self.leader.id,
            challenger_id=planned.id,
            needed=PROVEN if is_control else LIKELY,
            min_gain=settings.min_gain,
            groups=dataset.groups_of(judged),
            seed=settings.seed,
        )
