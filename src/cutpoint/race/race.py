"""The race: plan, run trials cheapest first, keep the leader, judge once on the test split, say what was found.

Decisions use predictions and scores, which are the same in every run; the clock is only a guard. Where it binds,
that is journaled, and a resumed run replays it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Literal

import torch

from cutpoint.advice.limits import excluded_by
from cutpoint.artifacts import load_model, save_model
from cutpoint.backbones.inputs import use_channels_last
from cutpoint.errors import CutpointError, TrainingError
from cutpoint.evaluation.metrics import check_metric
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.model import Model
from cutpoint.planning.calibration import Calibration
from cutpoint.planning.judging import Judging, plan_judging
from cutpoint.planning.known_cut import known_cut
from cutpoint.planning.make_plan import make_plan, with_layer_probes
from cutpoint.planning.plan import Entry, Plan, PlannedTrial
from cutpoint.planning.settings import Settings
from cutpoint.planning.watcher import Watcher
from cutpoint.race.answer import judge_once, result_of
from cutpoint.race.attempt import Attempt
from cutpoint.race.clock import ActiveClock
from cutpoint.race.control import needless_control
from cutpoint.race.examination import Examination
from cutpoint.race.first_model import save_first_model
from cutpoint.race.ground import Ground
from cutpoint.race.halving import Halving, backbones_dropped
from cutpoint.race.mending import mending_trials
from cutpoint.race.reference import Reference
from cutpoint.race.run_folder import RunFolder, read_record, write_record
from cutpoint.race.same_run import check_different, check_same_run
from cutpoint.race.standing import Standing
from cutpoint.race.trained import best_of, trains_blocks
from cutpoint.race.trial import TrialRun
from cutpoint.reports import write_report
from cutpoint.survey.advising import advise_on_plan
from cutpoint.survey.second_audit import audit_features
from cutpoint.types import Audit, Comparison, Dataset, Result, Trial, Verdict

_REPORT_SECONDS = 5.0


class OutOfTimeError(Exception):
    """The guard: the budget is spent in the middle of a trial."""


class Race:
    """One race in one run folder.

    Args:
        dataset: Labelled data with splits.
        entries: Backbones with their regimes.
        settings: Fixed choices.
        folder: Where everything is written; an unfinished run of the same settings and data goes on.
        cache: Shared between runs.
        versions: Library versions, for the record.
        watcher: Hears of the progress.
        reference: Where it is measured what each trial forgets; None: nowhere.
        audit: Of the data, where it was made.
    """

    def __init__(
        self,
        dataset: Dataset,
        entries: Sequence[Entry],
        settings: Settings,
        folder: RunFolder,
        *,
        cache: ActivationCache,
        versions: dict[str, str],
        watcher: Watcher,
        reference: Reference | None = None,
        audit: Audit | None = None,
    ) -> None:
        check_metric(dataset.task)
        check_different(entries)
        self.dataset = dataset
        self.entries = entries
        for entry in entries:
            use_channels_last(entry.backbone.module.to(settings.device))
        self.settings = settings
        self.folder = folder
        self.versions = versions
        self.watcher = watcher
        self.reference = reference
        self.audit = audit
        self.device = torch.device(settings.device)
        self.judging: Judging = plan_judging(dataset, settings)
        self.banks = {
            entry.backbone.name: FeatureBank(
                entry.backbone,
                dataset,
                self.judging.rows,
                cache,
                on_progress=self._on_work,
                engine=settings.engine,
                cut=known_cut(entry.backbone, entry.regimes, settings.cut, dataset.task),
            )
            for entry in entries
        }
        self.clock = ActiveClock(folder.clock)
        self.standing = Standing(self.judging)

    def run(self) -> Result:
        """Run or go on; an interruption leaves a valid result of what is finished."""
        self.folder.path.mkdir(parents=True, exist_ok=True)
        self.clock.save()  # from here on the folder can be told to be a run
        plan = self._plan()
        done = read_record(self.folder.result, Result)
        if done is not None and done.status == "finished":
            write_report(self.folder.path)  # a kill may have come between the result and its report
            self.watcher.on_message(f"{self.folder.path} is finished; --restart runs it anew.")
            return done
        self.watcher.on_plan(plan)
        for trial in plan.excluded:
            self._record(trial)
        try:
            for planned in plan.trials:
                if planned.recipe.regime.is_head_only or self.settings.exhaustive:
                    self._take_turn(plan, planned)
                    self._promote_leader(plan)
                    self._write(plan, "interrupted")
            if len(plan.trials) > 1:  # a trial that is the only one need not wait, either
                plan = self._advised(plan)
            if not self.settings.exhaustive:
                self._race_blocks(plan)
            return self._finish(self._advised(plan))
        except KeyboardInterrupt:
            self.clock.save()
            if self.standing.leader is not None:
                self._promote(self.standing.runs[self.standing.leader.id], self.standing.leader)
            result = self._write(plan, "interrupted")
            try:
                write_report(self.folder.path)
            # A library whose import was interrupted half-way cannot always be imported again in this process.
            except Exception:
                self.watcher.on_message(f"`cutpoint report {self.folder.path}` makes the report.")
            self.watcher.on_message("Interrupted. The same command goes on from here.")
            return result

    # ------------------------------------------------------------------------------------------------- plan

    def _plan(self) -> Plan:
        plan = read_record(self.folder.plan, Plan)
        if plan is None:
            first = self.banks[self.entries[0].backbone.name]
            save_first_model(first, self.judging, self.folder, self.watcher)
            plan = make_plan(
                self.entries,
                self.banks,
                judging=self.judging,
                settings=self.settings,
                versions=self.versions,
                watcher=self.watcher,
            )
            plan = plan.model_copy(update={"audit": self.audit})
            write_record(self.folder.plan, plan)
        check_same_run(plan, self.settings, self.dataset, self.entries, self.folder)
        for name, calibration in plan.calibration.items():  # a run that goes on has the engines it began with
            if calibration.engine is not None:
                self.banks[name].engine = calibration.engine
        return plan

    def _advised(self, plan: Plan) -> Plan:
        """The plan with what features say of the data, and with the advice; no head has to wait for them."""
        if plan.advice is not None:
            return plan
        plan = with_layer_probes(plan, self.banks, self.watcher)
        audit = audit_features(
            self.dataset, self.judging, self._main_bank, self.audit, self.watcher, self.settings.seed
        )
        advice = advise_on_plan(plan, self.banks, audit=audit)
        plan = plan.model_copy(update={"audit": audit, "advice": advice})
        write_record(self.folder.plan, plan)
        return plan

    @property
    def _main_bank(self) -> FeatureBank:
        """Of the first backbone that is a network."""
        banks = list(self.banks.values())
        return next((bank for bank in banks if bank.backbone.blocks), banks[0])

    # ----------------------------------------------------------------------------------------------- trials

    def _race_blocks(self, plan: Plan) -> None:
        """The trials that train blocks: short runs of all, then the promising ones to their end."""
        halving = Halving(self.dataset, self.settings, self.standing)
        waiting = [planned for planned in plan.trials if not planned.recipe.regime.is_head_only]
        if self.standing.leader is None and len(waiting) == 1:  # there is nothing to weigh it against
            self._take_turn(plan, waiting.pop())
        dropped = backbones_dropped(self.standing, plan.layer_probe)
        for planned in waiting:
            if planned.backbone in dropped:
                self._record(self._unrun(planned, "eliminated", dropped[planned.backbone]))
            elif not self._is_left_out(plan, planned, "short run"):
                self._screen(plan, planned, halving)
            self._write(plan, "interrupted")
        for planned, reason in halving.drop_lower_half():
            self._record(self._unrun(planned, "eliminated", reason))
        self._run_promising(plan, halving)
        for planned, reason in self._mending(plan):
            self.watcher.on_message(f"{planned.id} is tried: {reason}.")
            self.standing.remedies[planned.id] = reason
            if not self._is_left_out(plan, planned, "short run"):
                self._screen(plan, planned, halving)
        self._run_promising(plan, halving)

    def _run_promising(self, plan: Plan, halving: Halving) -> None:
        """To their end, the most promising first, as long as one promises what pays."""
        while (planned := halving.next()) is not None:
            self._take_turn(plan, planned, halving)
            self._write(plan, "interrupted")
        for planned, reason in halving.give_up():
            self._record(self._unrun(planned, "eliminated", reason))

    def _mending(self, plan: Plan) -> list[tuple[PlannedTrial, str]]:
        """Remedies for the best trial that trained blocks to its end; none where the user named the regimes."""
        ended = [
            trial
            for trial in self.standing.trials
            if trial.id in self.standing.predictions and trains_blocks(trial)
        ]
        if not ended or not self.settings.is_automatic or not self.settings.remedies:
            return []
        ill = best_of(ended)
        return list(mending_trials(plan, self.banks[ill.backbone], self.judging, ill))

    def _screen(self, plan: Plan, planned: PlannedTrial, halving: Halving) -> None:
        self.watcher.on_trial_start(planned)
        short_runs = self._trial_run(plan, planned).short_runs
        with self._recording_failure(planned, "short run"):
            chosen = short_runs.choose_rate(halving.rates_for(planned))
            rates = {run.rate for run in chosen.tried}  # runs of other ranks belong to what follows
            runs = len(rates) + len(short_runs.parts) - 1
            self.standing.spent[planned.id] = planned.short_seconds * runs
            self.watcher.on_screened(halving.enter(planned, short_runs))

    def _take_turn(self, plan: Plan, planned: PlannedTrial, halving: Halving | None = None) -> None:
        """Run one trial, or record why not."""
        if not self._is_left_out(plan, planned, "run"):
            self._run_trial(plan, planned, halving)

    def _is_left_out(self, plan: Plan, planned: PlannedTrial, rung: str) -> bool:
        """Whether the trial is not to be run; then that is recorded. An earlier call may have run out of time."""
        stopped = {event["trial"]: event for event in self.folder.events() if event["event"] == "out of time"}
        reason = self._why_not(plan, planned, any(trial.id in stopped for trial in self.standing.trials))
        is_stopped = planned.id in stopped and stopped[planned.id]["rung"] == rung
        if is_stopped:
            self._record(self._unrun(planned, "interrupted", stopped[planned.id]["reason"]))
        elif reason:
            status = "priced" if planned.recipe.regime.init == "random" else "skipped"
            self._record(self._unrun(planned, status, reason))
        return is_stopped or bool(reason)

    def _why_not(self, plan: Plan, planned: PlannedTrial, is_out_of_time: bool) -> str:
        """The reason to leave a trial out, from predictions and scores alone; empty to run it."""
        leader = self.standing.leader
        predicted = (planned.predicted.seconds or 0.0) - self.standing.spent.get(planned.id, 0.0)
        left = self.settings.budget_seconds - self.standing.predicted_seconds
        if leader is not None and leader.validation is not None:
            target = self.settings.target
            if target is not None and target.is_met(leader.validation):
                return f"the target {target.metric} {target.sign} {target.value:g} is met by {leader.id}"
            metric = check_metric(self.dataset.task)
            if metric.share and leader.validation.value + self.settings.min_gain > 1:
                return f"no gain of {self.settings.min_gain:g} is left above {leader.id}"
        if planned.recipe.regime.init == "random" and (reason := needless_control(plan)):
            return reason
        if is_out_of_time:
            return "the budget was spent before its turn"
        if predicted > left and leader is not None:
            return f"{predicted:.0f} s predicted, {max(left, 0):.0f} s of the budget left"
        return ""

    def _trial_run(self, plan: Plan, planned: PlannedTrial) -> TrialRun:
        ground = Ground(
            self.banks[planned.backbone],
            self.dataset,
            self.judging,
            plan.calibration[planned.backbone],
            self.settings,
            self.device,
            self.reference,
        )
        check_time = partial(self._check_time, ground.calibration)
        return TrialRun(Attempt(planned, ground, self.folder, self.watcher, check_time))

    def _run_trial(self, plan: Plan, planned: PlannedTrial, halving: Halving | None) -> None:
        standing = self.standing
        self.watcher.on_trial_start(planned)
        run = self._trial_run(plan, planned)
        weighs = halving is not None and standing.leader is not None
        with self._recording_failure(planned, "run"):
            trial = run.run(partial(halving.after_folds, planned) if halving and weighs else None)
            standing.spent[planned.id] = planned.predicted.seconds or 0.0
            if refused := self._over_limits(trial):
                trial = trial.model_copy(update={"status": "eliminated", "reason": refused})
            if trial.status == "eliminated":
                self._record(trial)
                return
            predictions = run.predictions()
            comparison = standing.compare(self.dataset, self.settings, planned, predictions)
            takes_lead = comparison is None or comparison.decision == "replaces"
            if takes_lead and not self._awaits_network(plan, trial):
                self._promote(run, trial)
            standing.runs[trial.id], standing.predictions[trial.id] = run, predictions
            if comparison is not None:
                standing.comparisons.append(comparison)
                if comparison.decision == "eliminated":
                    chance = (
                        f"a gain of {self.settings.min_gain:g} has probability {comparison.p_worthwhile:.2f}"
                    )
                    trial = trial.model_copy(update={"status": "eliminated", "reason": chance})
            if takes_lead:
                standing.leader = trial
            self._record(trial, comparison)

    def _over_limits(self, trial: Trial) -> str:
        """The limit that a trial breaks as it was measured; memory was judged by its prediction, before the trial: what
        the allocator then kept in holes is no property of the model."""
        backbone = self.banks[trial.backbone].backbone
        cost = trial.cost.model_copy(update={"peak_memory_bytes": None})
        return excluded_by(self.settings.limits, cost, backbone.reference, backbone.provenance)

    @contextmanager
    def _recording_failure(self, planned: PlannedTrial, rung: str) -> Iterator[None]:
        """One trial's failure, or the end of the budget in the middle of it, is no end of the race."""
        try:
            yield
        except OutOfTimeError:
            reason = f"the budget of {self.settings.budget_seconds:.0f} s was spent in the middle of it"
            self.folder.note("out of time", trial=planned.id, rung=rung, reason=reason)
            self._record(self._unrun(planned, "interrupted", reason))
        except (CutpointError, RuntimeError, ValueError, OSError, MemoryError) as error:
            reason = error.message if isinstance(error, CutpointError) else f"{type(error).__name__}: {error}"
            self._record(self._unrun(planned, "failed", reason))

    def _promote_leader(self, plan: Plan) -> None:
        """Put the leader's model where users look for it, once nothing stands against it."""
        leader = self.standing.leader
        if leader is not None and not self._awaits_network(plan, leader):
            self._promote(self.standing.runs[leader.id], leader)

    def _awaits_network(self, plan: Plan, leader: Trial) -> bool:
        """Whether a model without a network would replace a network's first model, just before that network's own head.

        On hand-made features it may be far worse than a probe of a few rows, and would be served until then.
        """
        if self.banks[leader.backbone].backbone.blocks or not (self.folder.model / "cutpoint.json").exists():
            return False
        ended = {trial.id for trial in self.standing.trials}
        return any(
            planned.recipe.regime.is_exact
            and self.banks[planned.backbone].backbone.blocks
            and planned.id not in ended
            for planned in plan.trials
        )

    def _promote(self, run: TrialRun, trial: Trial) -> None:
        """Put a trial's model there; an earlier call may already have done so."""
        promoted = [event["trial"] for event in self.folder.events() if event["event"] == "leads"]
        if trial.id in promoted and (self.folder.model / "cutpoint.json").exists():
            return
        model = run.save_final_model(self._description(trial))
        save_model(model, self.folder.model)
        self.folder.note("leads", trial=trial.id)

    def _description(self, trial: Trial) -> dict[str, str]:
        validation = trial.validation
        described = {"name": f"{trial.id} on {trial.backbone}", "Data": self.dataset.source}
        if validation is not None:
            described["Validation"] = (
                f"{validation.metric} {validation.value:.4f} [{validation.low:.4f}, {validation.high:.4f}], "
                f"{self.judging.sentence}"
            )
        return described

    def _record(self, trial: Trial, comparison: Comparison | None = None) -> None:
        trial = self.standing.record(trial)
        self.watcher.on_trial_end(trial, comparison)

    def _unrun(self, planned: PlannedTrial, status: str, reason: str) -> Trial:
        return Trial(
            id=planned.id,
            regime=planned.recipe.regime.name,
            backbone=planned.backbone,
            cut=planned.recipe.cut,
            seed=self.settings.seed,
            status=status,
            reason=reason,
            predicted=planned.predicted,
        )

    def _on_work(self, what: str, done: int, total: int) -> None:
        """A pass over the data is active time too, and may be killed in the middle."""
        self.clock.tick()
        self.watcher.on_work(what, done, total)

    def _check_time(self, calibration: Calibration) -> None:
        """Raise when the budget leaves just enough to judge the winner and write the report.

        The first trial may always finish: a run without any model helps nobody.
        """
        closing = calibration.forward_seconds * len(self.dataset.splits.get("test", ())) + _REPORT_SECONDS
        if self.clock.tick() + closing > self.settings.budget_seconds and self.standing.leader is not None:
            raise OutOfTimeError

    # ---------------------------------------------------------------------------------------------- results

    def _finish(self, plan: Plan) -> Result:
        leader = self.standing.leader
        if leader is None:
            reasons = "; ".join(f"{trial.id}: {trial.reason}" for trial in self.standing.trials)
            raise TrainingError(
                f"No trial finished. {reasons}", "Mend what the reasons name, or try other regimes."
            )
        model = self._winning_model()
        examination, verdict = judge_once(
            plan, self.banks[leader.backbone], self.standing, leader, model, self.watcher
        )
        self.clock.save()
        result = self._write(plan, "finished", examination, verdict)
        write_report(self.folder.path)
        for trial_id in self.standing.runs:
            for checkpoint in (self.folder.trial(trial_id) / "fits").glob("*.safetensors"):
                checkpoint.unlink()
        return result

    def _winning_model(self) -> Model:
        leader = self.standing.leader
        assert leader is not None
        model = load_model(self.folder.model, backbone=self.banks[leader.backbone].backbone)
        model.network.to(self.device)
        return model

    def _write(
        self,
        plan: Plan,
        status: Literal["finished", "interrupted"],
        examination: Examination | None = None,
        verdict: Verdict | None = None,
    ) -> Result:
        result = result_of(
            plan,
            self.dataset,
            self.standing,
            status=status,
            seconds=self.clock.seconds,
            run=str(self.folder.path),
            examination=examination,
            verdict=verdict,
        )
        write_record(self.folder.result, result)
        return result
