"""From a standing to the answer: the winner on the test split, findings, the verdict, the result as it is written."""

from __future__ import annotations

from typing import Literal

from cutpoint.advice.forced_full import forced_full_on_little_data
from cutpoint.evaluation.selection import optimism
from cutpoint.features.bank import FeatureBank
from cutpoint.model import Model
from cutpoint.planning.plan import Plan
from cutpoint.planning.watcher import Watcher
from cutpoint.race.examination import Examination, examine
from cutpoint.race.findings import race_findings
from cutpoint.race.standing import Standing
from cutpoint.race.trained import best_of, is_scratch
from cutpoint.race.verdict import write_verdict
from cutpoint.survey.input_findings import input_findings
from cutpoint.survey.labels_curve import multiple_of_scratch
from cutpoint.survey.raw_data import raw_data
from cutpoint.survey.source_errors import source_error_finding
from cutpoint.types import Dataset, Finding, Result, Trial, Verdict


def judge_once(
    plan: Plan, bank: FeatureBank, standing: Standing, winner: Trial, model: Model, watcher: Watcher
) -> tuple[Examination, Verdict]:
    """The winner on the test split, and what is to be said of it and of the race.

    Args:
        plan: What was fixed before the first trial.
        bank: Of the winner's backbone.
        standing: All that happened.
        winner: The trial that ships.
        model: Its model.
        watcher: Hears of the progress.
    """
    dataset = bank.dataset
    watcher.on_message("Judging the winner once on the test split.")
    examination = examine(model, bank, watcher)
    findings = race_findings(
        dataset, standing.judging, standing.trials, standing.predictions, winner, examination
    )
    findings += (
        _forced_full(plan) + _labels_saved(plan, standing) + raw_data(dataset) + input_findings(bank, dataset)
    )
    source_errors = source_error_finding(bank, dataset, examination.predictions)
    findings += [source_errors] if source_errors else []
    verdict = write_verdict(
        dataset.task, winner, standing.trials, standing.comparisons, examination.score, findings
    )
    return examination, verdict


def result_of(
    plan: Plan,
    dataset: Dataset,
    standing: Standing,
    *,
    status: Literal["finished", "interrupted"],
    seconds: float,
    run: str,
    examination: Examination | None = None,
    verdict: Verdict | None = None,
) -> Result:
    """Everything that was found so far, as it is written to RUN/result.json.

    Args:
        plan: What was fixed before the first trial.
        dataset: Labelled data.
        standing: Trials, comparisons and short runs so far.
        status: Whether the race is over.
        seconds: Active time.
        run: The run folder as the user gave it.
        examination: Of the winner, once the race is over.
        verdict: The same.
    """
    leader = standing.leader
    return Result(
        status=status,
        task=dataset.task,
        data=plan.data,
        backbones=plan.backbones,
        provenance=plan.provenance,
        judged_on=plan.judged_on,
        trials=tuple(standing.trials),
        comparisons=tuple(standing.comparisons),
        screening=tuple(standing.screening),
        layer_probe=plan.layer_probe,
        winner=None if leader is None else leader.id,
        test=examination.score if examination else None,
        confusion=examination.confusion if examination else None,
        mistakes=examination.mistakes if examination else (),
        samples=examination.samples if examination else (),
        verdict=verdict,
        audit=plan.audit,
        advice=plan.advice,
        looks=len(standing.predictions),
        optimism=_optimism(dataset, standing) if status == "finished" else None,
        seconds=seconds,
        settings=plan.settings.model_dump(mode="json"),
        versions=plan.versions,
        seed=plan.settings.seed,
        run=run,
    )


def _optimism(dataset: Dataset, standing: Standing) -> float | None:
    """What being the best of several validation scores adds to one; None where nothing was judged."""
    if not standing.predictions:
        return None
    judged = standing.judging.judged
    return optimism(
        dataset.task,
        dataset.targets[judged],
        standing.predictions,
        groups=dataset.groups_of(judged),
    )


def _forced_full(plan: Plan) -> list[Finding]:
    """Whether the user named nothing but full fine-tuning, and has little data for it."""
    if plan.settings.is_automatic or plan.advice is None:
        return []
    regimes = {regime.name: regime for named in plan.regimes.values() for regime in named}
    full = [name for name, regime in regimes.items() if regime.trains_everything]
    axes = plan.advice.axes
    found = forced_full_on_little_data(list(regimes), full, rows=axes.rows, per_class=axes.per_class)
    return [found] if found else []


def _labels_saved(plan: Plan, standing: Standing) -> list[Finding]:
    """With what share of the labels the probe reaches what the same network from scratch reaches with all."""
    labels = plan.advice.labels if plan.advice else None
    controls = [trial for trial in standing.trials if trial.id in standing.predictions and is_scratch(trial)]
    if labels is None or not controls:
        return []
    control = best_of(controls)
    multiple = None if control.validation is None else multiple_of_scratch(labels, control.validation)
    if multiple is None:
        return []
    least = "at least " if multiple >= labels.points[-1].rows / labels.points[0].rows else ""
    return [
        Finding(
            code="labels-saved",
            severity="info",
            text=f"Transfer saves labels: frozen features reach what {control.id} reaches with all labels with "
            f"{least}{multiple:.1f} times fewer.",
            evidence=labels.sentence,
        )
    ]
