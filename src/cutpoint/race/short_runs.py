"""Short runs of a trial: they choose its rate and rank, and show whether the whole of it is worth running."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.splits import folds
from cutpoint.planning.judging import Rows
from cutpoint.planning.prediction import RATE_SHARE, SHORT_PARTS
from cutpoint.race.attempt import Attempt
from cutpoint.race.choices import Choices, ShortRun, climb
from cutpoint.race.run_folder import read_record, write_record
from cutpoint.regimes.recipe import FIRST_RANK, Recipe

_WORST_LOSS = 1e9
"""Stands for a diverged run: JSON has no infinity."""


class ShortRuns:
    """Short runs on the same training and validation rows for every trial of a race.

    Args:
        attempt: At which trial.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.planned = attempt.planned
        self.folder = attempt.folder

    @property
    def chosen(self) -> Choices | None:
        """What was chosen, by this run or an earlier one."""
        return read_record(self.folder / "choices.json", Choices)

    def choose_rate(self, rates: tuple[float, ...] | None = None) -> Choices:
        """Anneal each rate over a quarter of the epochs; the least validation loss at the end wins.

        Args:
            rates: To choose between; None: those of the recipe. Where it has none, the one run still tells how the
                trial does.
        """
        if (chosen := self.chosen) is not None:
            return chosen
        recipe = self.planned.recipe
        rank = self._first_rank
        best, predictions, tried = None, None, []
        for rate in rates or recipe.rate_candidates or (None,):
            run, found = self._run(rate, rank, 0)
            tried.append(run)
            if best is None or run.loss < best.loss:
                best, predictions = run, found
        assert best is not None and predictions is not None
        self._save(0, predictions)
        return self._written(Choices(rate=best.rate, rank=None, tried=tuple(tried)))

    def choose_rank(self) -> Choices:
        """Climb the ladder of ranks from the first, at the rate that was chosen, as long as that helps."""
        chosen = self.choose_rate()
        if not self.planned.recipe.rank_is_open or chosen.rank is not None:
            return chosen
        tried = list(chosen.tried)

        def loss_of(rank: int) -> float:
            run, _ = self._run(chosen.rate, rank, 0)
            tried.append(run)
            return run.loss

        first = min(run.loss for run in chosen.tried)
        rank = climb(FIRST_RANK, first, loss_of)
        return self._written(chosen.model_copy(update={"rank": rank, "tried": tuple(tried)}))

    def judge(self) -> tuple[Rows, NDArray[np.float32]]:
        """Rows that judge the rate that was chosen, and (rows, outputs) predictions of them: all parts', in order."""
        chosen = self.choose_rate()
        if chosen.judging_seconds is None:
            seconds = 0.0
            for number in range(1, len(self.parts)):
                run, found = self._run(chosen.rate, self._first_rank, number)
                self._save(number, found)
                seconds += run.seconds
            self._written(chosen.model_copy(update={"judging_seconds": seconds}))
        rows = np.concatenate([held for _, held in self.parts])
        files = [self._predictions_file(number) for number in range(len(self.parts))]
        predictions = np.concatenate([np.load(file, allow_pickle=False) for file in files])
        order = np.argsort(rows, kind="stable")
        return rows[order], predictions[order]

    @cached_property
    def parts(self) -> list[tuple[Rows, Rows]]:
        """(training rows, held rows): the first fit's; in cross-validation thirds of all rows, since a fold is too few
        to compare rates on. The first part compares them, all of them judge the one that was chosen."""
        ground = self.attempt.ground
        judging = ground.judging
        if not judging.is_cross_validation:
            return [judging.repeats[0][0]]
        seed = ground.settings.seed
        return folds(ground.dataset, judging.rows, count=SHORT_PARTS, repeats=1, seed=seed)[0]

    @property
    def _first_rank(self) -> int | None:
        return FIRST_RANK if self.planned.recipe.rank_is_open else None

    def _run(self, rate: float | None, rank: int | None, part: int) -> tuple[ShortRun, NDArray[np.float32]]:
        """One candidate, and its predictions of the rows held from this part."""
        recipe = Choices(rate=rate, rank=rank).applied(self.planned.recipe)
        fit = self.attempt.fit(recipe.with_epochs(_shortened(recipe)), *self.parts[part])
        named = [f"{name} {value:g}" for name, value in (("rate", rate), ("rank", rank)) if value is not None]
        for progress in fit:
            share = progress.step / max(progress.steps, 1)
            note = f"a short run: {share:.0%}" if not named else f"trying {' and '.join(named)}: {share:.0%}"
            self.attempt.watcher.on_trial_progress(self.planned, 0.0, note)
            self.attempt.check_time()
        last = fit.records[-1].validation_loss
        loss = _WORST_LOSS if last is None or fit.state.diverged else last
        seconds = sum(record.seconds for record in fit.records)
        return ShortRun(rate=rate, rank=rank, loss=loss, seconds=seconds), fit.predict_validation()

    def _written(self, choices: Choices) -> Choices:
        write_record(self.folder / "choices.json", choices)
        return choices

    def _save(self, part: int, predictions: NDArray[np.float32]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        np.save(self._predictions_file(part), predictions, allow_pickle=False)

    def _predictions_file(self, part: int) -> Path:
        return self.folder / f"short-{part}.npy"


def _shortened(recipe: Recipe) -> list[int]:
    """Epochs of each stage of a short run: a share of the fit's, but two where it has as many, since the rate has to
    come down."""
    counts = [int(stage.phase.epochs) if stage.phase.solver == "gradient" else 0 for stage in recipe.stages]
    return [max(round(RATE_SHARE * count), min(count, 2)) for count in counts]
