"""Runs one planned trial: its choice of rate, its fits, its predictions and costs. Goes on where it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.artifacts import save_model
from cutpoint.artifacts.model_folder import stored_bytes
from cutpoint.backbones.order import uncovered_parameters
from cutpoint.errors import TrainingError
from cutpoint.evaluation.diagnosis import chance_score, diagnose
from cutpoint.evaluation.drift import drift_finding
from cutpoint.evaluation.intervals import score
from cutpoint.model import Model
from cutpoint.planning.judging import Rows
from cutpoint.planning.plan import cut_name
from cutpoint.race.attempt import Attempt
from cutpoint.race.latency import latency_ms
from cutpoint.race.run_folder import read_record, write_record
from cutpoint.race.short_runs import ShortRuns
from cutpoint.regimes.recipe import Recipe
from cutpoint.runtime import PeakMemory
from cutpoint.training.drift import drift_of
from cutpoint.training.findings import fit_findings
from cutpoint.training.fit import Fit
from cutpoint.training.seen import seen_by
from cutpoint.training.weights import Freezing
from cutpoint.types import Cost, EpochRecord, Finding, Record, Retention, Score, Trial

_CHECKPOINT_SECONDS = 20.0
_MOST_TRAIN = 256
"""Training rows that a finished fit is asked about: enough for a gap of some points, a fraction of an epoch."""


class FitRecord(Record):
    """What is kept of a finished fit, beside its predictions."""

    epochs: tuple[EpochRecord, ...]
    kept_epoch: int
    reached_cut: int
    trained_parameters: int
    strength: float | None
    diverged: bool
    train: Score | None
    """On training rows, at most `_MOST_TRAIN`; first fit only, as the three below."""
    stored_bytes: int | None
    latency_ms: float | None
    peak_memory_bytes: int | None
    retention: Retention | None = None
    freezing: Freezing | None = None
    findings: tuple[Finding, ...] = ()
    """What the fit itself shows: why it diverged, which BatchNorm statistics moved."""
    drift: float | None = None


class TrialRun:
    """One trial on its ground.

    Args:
        attempt: What to run.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.planned, self.ground = attempt.planned, attempt.ground
        self.folder = attempt.folder
        self.short_runs = ShortRuns(attempt)
        self._fits = self.ground.judging.fits(self.planned.repeats)

    @property
    def model_folder(self) -> Path:
        return self.folder / "model"

    def run(self, is_hopeless: Callable[[Rows, NDArray[np.float32]], str] | None = None) -> Trial:
        """All fits, then the record; finished fits are read, not repeated.

        Args:
            is_hopeless: Asked after every fold with the rows that were judged so far and their predictions; a reason
                ends the trial there.

        Raises:
            TrainingError: Every fit diverged before it had anything to keep.
        """
        finished = read_record(self.folder / "trial.json", Trial)
        if finished is not None:
            return finished
        records: list[FitRecord] = []
        reason = ""
        while len(records) < len(self._fits) and not reason:
            records.append(self._one_fit(len(records), self._recipe))
            if is_hopeless and len(records) < len(self._fits):
                reason = is_hopeless(*self._judged_in(len(records)))
        trial = self._record(self._recipe, records, reason)
        write_record(self.folder / "trial.json", trial)
        return trial

    def predictions(self) -> NDArray[np.float32]:
        """(repeats, judged rows, …) scores of a finished trial."""
        judged = self.ground.judging.judged
        found = [np.load(self._predictions_file(number)) for number in range(len(self._fits))]
        table = np.full((self.planned.repeats, len(judged), *found[0].shape[1:]), np.nan, dtype=np.float32)
        for (repeat, _, held), scores in zip(self._fits, found, strict=True):
            table[repeat, np.searchsorted(judged, held)] = scores
        return table

    def _judged_in(self, fits: int) -> tuple[Rows, NDArray[np.float32]]:
        """Rows that the first fits judged, in order, and (rows, …) scores of them."""
        rows = np.concatenate([held for _, _, held in self._fits[:fits]])
        scores = np.concatenate([np.load(self._predictions_file(number)) for number in range(fits)])
        order = np.argsort(rows, kind="stable")
        return rows[order], scores[order]

    def save_final_model(self, description: dict[str, Any]) -> Model:
        """The model that the trial stands for, saved in its folder.

        With held-out validation it is the one that was judged; after cross-validation it is fitted once more, on all
        rows, for as many epochs as the folds kept (median).
        """
        recipe = self._recipe
        if self.ground.judging.is_cross_validation:
            records = [self._read_fit(number) for number in range(len(self._fits))]
            kept = median_low([record.kept_epoch for record in records if record is not None])
            everything = self.ground.judging.rows
            fit = self._finish("final", recipe, everything, everything[:0], stop_after=kept + 1)
        else:
            _, train, held = self._fits[0]
            fit = self._finish("0", recipe, train, held)
        model = self._model(fit, description)
        save_model(model, self.model_folder)
        return model

    # ------------------------------------------------------------------------------------------------- fits

    def _one_fit(self, number: int, recipe: Recipe) -> FitRecord:
        done = self._read_fit(number)
        if done is not None:
            return done
        _, train, held = self._fits[number]
        # Handing memory back takes as long as a small fit, and the folds are alike: the first one is measured.
        with PeakMemory() if number == 0 else nullcontext() as peak:
            fit = self._finish(str(number), recipe, train, held)
        np.save(self._predictions_file(number), fit.predict_validation(), allow_pickle=False)
        train_score, model, kept = None, None, None
        if number == 0:
            train_score = self._train_score(fit)
            model = self._model(fit, {})
            kept = self.ground.reference.retention(model) if self.ground.reference else None
        record = FitRecord(
            epochs=fit.records,
            kept_epoch=fit.state.best_epoch,
            reached_cut=fit.reached_cut,
            trained_parameters=fit.trained_parameters,
            strength=fit.state.strength,
            diverged=fit.state.diverged,
            train=train_score,
            stored_bytes=stored_bytes(model) if model else None,
            latency_ms=latency_ms(model, self.ground.dataset.inputs[0]) if model else None,
            peak_memory_bytes=peak.bytes if peak else None,
            retention=kept,
            freezing=fit.freezing,
            findings=fit_findings(fit),
            drift=drift_of(fit) if number == 0 else None,
        )
        write_record(self._fit_file(number), record)
        if self.ground.judging.is_cross_validation:
            self._checkpoint(str(number)).unlink(missing_ok=True)
        return record

    def _train_score(self, fit: Fit) -> Score:
        """On the training rows, or as many as tell over- from underfitting."""
        rows = np.random.default_rng(0).permutation(fit.data.train)[:_MOST_TRAIN]
        rows = np.sort(rows) if len(rows) < len(fit.data.train) else fit.data.train
        return score(self.ground.task, fit.data.targets[rows], fit.predict(rows))

    def _finish(
        self, name: str, recipe: Recipe, train: Rows, held: Rows, stop_after: int | None = None
    ) -> Fit:
        """Run a fit to its end from its last checkpoint, saving every few seconds and where it is interrupted."""
        fit = self.attempt.fit(recipe, train, held, stop_after)
        checkpoint = self._checkpoint(name)
        fit.load(checkpoint)
        saved = time.monotonic()
        steps = iter(fit)
        # An interruption inside a step leaves a state that no straight run has: only between steps is it saved.
        while (progress := next(steps, None)) is not None:
            try:
                self._tell(name, progress.step / max(progress.steps, 1))
                self.attempt.check_time()
            except KeyboardInterrupt:
                fit.save(checkpoint)
                raise
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                fit.save(checkpoint)
                saved = time.monotonic()
        fit.save(checkpoint)
        return fit

    def _tell(self, name: str, share: float) -> None:
        count = len(self._fits)
        if not name.isdigit():
            self.attempt.watcher.on_trial_progress(self.planned, 1.0, "fitting once more on all examples")
            return
        note = "" if count == 1 else f"fit {int(name) + 1} of {count}"
        self.attempt.watcher.on_trial_progress(self.planned, (int(name) + share) / count, note)

    @cached_property
    def _recipe(self) -> Recipe:
        """The recipe with the rate and the rank that short runs chose, where the regime left them open."""
        recipe = self.planned.recipe
        if not recipe.rate_candidates and not recipe.rank_is_open:
            return recipe
        return self.short_runs.choose_rank().applied(recipe)

    # ---------------------------------------------------------------------------------------------- records

    def _record(self, recipe: Recipe, records: Sequence[FitRecord], reason: str) -> Trial:
        """Of all fits, or of the first ones where a reason ended the trial there."""
        if all(record.diverged and record.kept_epoch < 0 for record in records):
            raise TrainingError(
                f"Every fit of {self.planned.id} diverged: {records[0].findings[0].evidence}.",
                "Lower the rate, or start from the probe.",
            )
        ground = self.ground
        judged, predictions = (
            self._judged_in(len(records)) if reason else (ground.judging.judged, self.predictions())
        )
        targets = ground.dataset.targets[judged]
        groups = ground.dataset.groups_of(judged)
        validation = score(ground.task, targets, predictions, groups=groups, seed=ground.settings.seed)
        model = self.save_final_model({}) if not ground.judging.is_cross_validation else None
        reached = max(record.reached_cut for record in records)
        return Trial(
            id=self.planned.id,
            regime=recipe.regime.name,
            backbone=self.planned.backbone,
            cut=reached,
            cut_name=cut_name(reached, ground.bank.backbone.blocks, recipe.stages[-1].pattern),
            seed=ground.settings.seed,
            status="eliminated" if reason else "finished",
            reason=reason,
            validation=validation,
            cost=self._cost(recipe, records),
            predicted=self.planned.predicted,
            recipe=self._recipe_facts(recipe, records),
            uncovered_parameters=uncovered_parameters(ground.bank.backbone),
            curves=tuple(record.epochs for record in records[: len(ground.judging.repeats[0])]),
            findings=self._findings(records, validation, targets),
            retention=records[0].retention,
            drift=records[0].drift,
            **(records[0].freezing.model_dump() if records[0].freezing else {}),
            model=None if model is None else str(self.model_folder.relative_to(self.attempt.run_folder.path)),
        )

    def _findings(
        self, records: Sequence[FitRecord], validation: Score, targets: NDArray[Any]
    ) -> tuple[Finding, ...]:
        chance = chance_score(self.ground.task, targets)
        curves = [record.epochs for record in records]
        known = [record.findings for record in records]
        found = diagnose(curves, train=records[0].train, validation=validation, chance=chance, known=known)
        drifted = drift_finding(records[0].drift, records[0].retention)
        return (*found, *([drifted] if drifted else []))

    def _cost(self, recipe: Recipe, records: Sequence[FitRecord]) -> Cost:
        """Measured costs. The frozen pass is shared between trials; each is charged for it in full."""
        calibration, predicted = self.ground.calibration, self.planned.predicted
        chosen = self.short_runs.chosen
        frozen = (
            calibration.forward_seconds * calibration.flops_below[recipe.cut] * len(self.ground.bank.rows)
        )
        seconds = sum(epoch.seconds for record in records for epoch in record.epochs)
        return Cost(
            seconds=seconds + frozen + (chosen.seconds if chosen else 0.0),
            peak_memory_bytes=records[0].peak_memory_bytes,
            trainable_parameters=min(record.trained_parameters for record in records),
            total_parameters=predicted.total_parameters,
            stored_bytes=records[0].stored_bytes,
            flops=predicted.flops,
            latency_ms=records[0].latency_ms,
        )

    def _recipe_facts(self, recipe: Recipe, records: Sequence[FitRecord]) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "regime": recipe.regime.model_dump(mode="json", exclude={"attributes", "phases"}),
            "stages": [stage.model_dump(mode="json") for stage in recipe.stages],
            "fits": len(records),
            "kept_epochs": [record.kept_epoch for record in records],
        }
        if records[0].strength is not None:
            facts["strengths"] = [record.strength for record in records]
        chosen = self.short_runs.chosen
        if chosen is not None:
            facts["choices"] = chosen.model_dump(exclude_none=True)
        return facts

    def _model(self, fit: Fit, description: dict[str, Any]) -> Model:
        return Model(
            backbone=self.ground.bank.backbone,
            network=fit.network,
            task=self.ground.task,
            regime=fit.recipe.regime.name,
            cut=fit.reached_cut,
            description=description,
            adapter=fit.recipe.regime.adapter,
            seen=seen_by(fit.data),
        )

    def _checkpoint(self, name: str) -> Path:
        return self.folder / "fits" / f"{name}.safetensors"

    def _predictions_file(self, number: int) -> Path:
        return self.folder / "fits" / f"{number}.npy"

    def _fit_file(self, number: int) -> Path:
        return self.folder / "fits" / f"{number}.json"

    def _read_fit(self, number: int) -> FitRecord | None:
        return read_record(self._fit_file(number), FitRecord)
