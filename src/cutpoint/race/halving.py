"""Successive halving over the trials that train blocks (Jamieson & Talwalkar 2016), with expected gains.

Rungs: every trial's short run (a quarter of the epochs, which also chooses its rate) · the better half goes on · the
most promising one is run to its end, in cross-validation fold by fold · what is left is weighed against the new leader,
until finishing none of them is expected to gain what pays. Heads are no part of it: on cached features they cost
seconds, and all of them are run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutpoint.evaluation.comparison import amount
from cutpoint.evaluation.intervals import score
from cutpoint.evaluation.metrics import METRICS, check_metric
from cutpoint.evaluation.outlook import Finished, Finishing, Outlook, outlook
from cutpoint.planning.judging import Rows
from cutpoint.planning.plan import PlannedTrial
from cutpoint.planning.prediction import RATE_SHARE
from cutpoint.planning.settings import Settings
from cutpoint.race.short_runs import ShortRuns
from cutpoint.race.standing import Standing
from cutpoint.types import Dataset, Screened

# What is left of a short run's error at the end, from validation scores of four open cells of the decision benchmark:
# 1.2 on snips_intents-8, 1.1 on clothing10-8 (few examples judge both), 1.0 on clothing10-all, .6 on deeppcb6-all.
AFTER_A_SHORT_RUN = Finishing(shrink=0.94, spread=0.28, within=0.1)
AFTER_A_FOLD = Finishing(shrink=1.0, spread=0.1)
_FEWEST_BACKBONES = 2


@dataclass(frozen=True)
class _Candidate:
    planned: PlannedTrial
    rows: Rows
    """That the short run was judged on."""
    predictions: NDArray[np.float32]


class Halving:
    """Weighs what waits against the leader.

    Args:
        dataset: Labelled data.
        settings: The race's.
        standing: Tells who leads; hears of every rung.
    """

    def __init__(self, dataset: Dataset, settings: Settings, standing: Standing) -> None:
        self.dataset = dataset
        self.settings = settings
        self.standing = standing
        self._waiting: dict[str, _Candidate] = {}
        self._rates: dict[tuple[object, ...], float | None] = {}

    def rates_for(self, planned: PlannedTrial) -> tuple[float, ...] | None:
        """The rate that a relative on the same backbone chose; None where the trial is the first of its family."""
        rate = self._rates.get(_family(planned))
        return None if rate is None else (rate,)

    def enter(self, planned: PlannedTrial, short_runs: ShortRuns) -> Screened:
        """Take up a trial whose short run is done."""
        candidate = _Candidate(planned, *short_runs.judge())
        chosen = short_runs.choose_rate()
        self._rates.setdefault(_family(planned), chosen.rate)
        self._waiting[planned.id] = candidate
        return self._screened(candidate, chosen.seconds)

    def drop_lower_half(self) -> list[tuple[PlannedTrial, str]]:
        """The trials that do not go on after the short runs, each with the reason."""
        kept = math.ceil(len(self._waiting) / 2)
        ordered = self._by_promise()
        dropped = [
            (planned, self._reason(planned, found, is_lower_half=True)) for planned, found in ordered[kept:]
        ]
        for planned, reason in dropped:
            self._leave(planned, reason)
        return dropped

    def next(self) -> PlannedTrial | None:
        """The trial that promises most, and no longer waits; None where none promises what pays."""
        ordered = self._by_promise()
        if not ordered or ordered[0][1].gain < self.settings.min_gain:
            return None
        del self._waiting[ordered[0][0].id]
        return ordered[0][0]

    def give_up(self) -> list[tuple[PlannedTrial, str]]:
        """What still waits, each with the reason why it is not finished."""
        left = [
            (planned, self._reason(planned, found, is_lower_half=False))
            for planned, found in self._by_promise()
        ]
        for planned, reason in left:
            self._leave(planned, reason)
        return left

    def after_folds(self, planned: PlannedTrial, rows: Rows, predictions: NDArray[np.float32]) -> str:
        """Why the folds so far say that the others need not be run; empty where they must."""
        found = self._outlook(rows, predictions, AFTER_A_FOLD)
        share = len(rows) / len(self.standing.judging.judged)
        reason = ""
        if found.gain < self.settings.min_gain:
            reason = f"after {100 * share:.0f} % of the examples, {self._expects(found)}"
        self._note(planned, 1, share, rows, predictions, found, reason)
        return reason

    # ---------------------------------------------------------------------------------------------- weighing

    @property
    def _finishing(self) -> Finishing:
        """What is left of a short run's error, as far as the trials that were finished here tell."""
        short = {screened.trial: screened.score for screened in self.standing.screening if screened.rung == 0}
        finished = []
        for trial in self.standing.trials:
            before = short.get(trial.id)
            if trial.id in self.standing.predictions and before is not None and trial.validation is not None:
                finished.append(Finished(before, trial.validation))
        return AFTER_A_SHORT_RUN.learned_from(finished)

    def _by_promise(self) -> list[tuple[PlannedTrial, Outlook]]:
        """Most promising first; of equals the cheaper."""
        finishing = self._finishing
        found = [
            (each.planned, self._outlook(each.rows, each.predictions, finishing))
            for each in self._waiting.values()
        ]
        sign = check_metric(self.dataset.task).sign

        def promise(entry: tuple[PlannedTrial, Outlook]) -> tuple[float, float, float]:
            planned, outlook = entry
            return -outlook.gain, -sign * outlook.expected, planned.predicted.seconds or 0.0

        return sorted(found, key=promise)

    def _outlook(self, rows: Rows, predictions: NDArray[np.float32], finishing: Finishing) -> Outlook:
        return outlook(
            self.dataset.task,
            self.dataset.targets[rows],
            predictions,
            self.standing.leading_on(rows),
            finishing=finishing,
            min_gain=self.settings.min_gain,
            groups=self.dataset.groups_of(rows),
            seed=self.settings.seed,
        )

    def _screened(self, candidate: _Candidate, seconds: float) -> Screened:
        found = self._outlook(candidate.rows, candidate.predictions, self._finishing)
        return self._note(
            candidate.planned, 0, RATE_SHARE, candidate.rows, candidate.predictions, found, "", seconds
        )

    def _note(
        self,
        planned: PlannedTrial,
        rung: int,
        share: float,
        rows: Rows,
        predictions: NDArray[np.float32],
        found: Outlook,
        reason: str,
        seconds: float = 0.0,
    ) -> Screened:
        screened = Screened(
            trial=planned.id,
            rung=rung,
            share=share,
            score=score(
                self.dataset.task,
                self.dataset.targets[rows],
                predictions,
                groups=self.dataset.groups_of(rows),
                seed=self.settings.seed,
            ),
            expected=found.expected,
            low=found.low,
            high=found.high,
            kept=not reason,
            reason=reason,
            seconds=seconds,
        )
        self.standing.screening.append(screened)
        return screened

    # ----------------------------------------------------------------------------------------------- reasons

    def _leave(self, planned: PlannedTrial, reason: str) -> None:
        del self._waiting[planned.id]
        screening = self.standing.screening
        for place, screened in enumerate(screening):
            if screened.trial == planned.id:
                screening[place] = screened.model_copy(update={"kept": False, "reason": reason})

    def _reason(self, planned: PlannedTrial, found: Outlook, *, is_lower_half: bool) -> str:
        if is_lower_half and found.gain >= self.settings.min_gain:
            return "after a short run it is in the lower half of the trials that train blocks"
        return f"after a short run, {self._expects(found)}"

    def _expects(self, found: Outlook) -> str:
        metric, leader = check_metric(self.dataset.task), self.standing.leader
        assert leader is not None
        return (
            f"finishing it is expected to gain {amount(metric, found.gain)} on {leader.id}, less than the "
            f"{amount(metric, self.settings.min_gain)} that pay"
        )


def backbones_dropped(standing: Standing, names: Iterable[str]) -> dict[str, str]:
    """The backbones whose blocks are not worth training, with the reason: the lower half by their best head.

    At least two stay, so that two backbones both race.
    """
    best: dict[str, float] = {}
    for trial in standing.trials:
        if trial.backbone in names and trial.id in standing.predictions and trial.validation is not None:
            merit = METRICS[trial.validation.metric].sign * trial.validation.value
            best[trial.backbone] = max(merit, best.get(trial.backbone, -math.inf))
    kept = max(math.ceil(len(best) / 2), _FEWEST_BACKBONES)
    ordered = sorted(best, key=lambda name: -best[name])
    return {
        name: f"the best head on {name} is in the lower half of the backbones': its blocks are not trained"
        for name in ordered[kept:]
    }


def _family(planned: PlannedTrial) -> tuple[object, ...]:
    """Trials that share a rate: the same candidates on the same backbone, with or without an adapter, from the same
    weights."""
    regime = planned.recipe.regime
    kind = None if regime.adapter is None else regime.adapter.kind
    return planned.backbone, kind, regime.init, planned.recipe.rate_candidates
