"""The verdict in words: what to ship, what dearer would have added, what would flip the choice."""

from __future__ import annotations

from collections.abc import Sequence

from cutpoint.reports import format as form
from cutpoint.types import Comparison, Finding, Score, Task, Trial, Verdict


def write_verdict(
    task: Task,
    winner: Trial,
    trials: Sequence[Trial],
    comparisons: Sequence[Comparison],
    test: Score | None,
    findings: Sequence[Finding],
) -> Verdict:
    """Say what was found, in sentences that need no glossary."""
    ship = _ship(winner, test)
    dearer = _dearer(task, winner, trials, comparisons)
    flip = _flip(winner, trials, comparisons)
    return Verdict(
        text=f"{ship} {dearer} {flip}", ship=ship, dearer=dearer, flip=flip, findings=tuple(findings)
    )


def _ship(winner: Trial, test: Score | None) -> str:
    judged = test or winner.validation
    where = "test" if test else "validation"
    cost = winner.cost
    parts = [f"Ship {winner.id}"]
    if judged is not None:
        name = form.metric_name(judged.metric)
        parts.append(
            f": {name} {form.score(judged)} [{form.interval(judged)}] on {judged.n:,} {where} examples"
        )
    if cost.trainable_parameters and cost.total_parameters:
        share = form.share(cost.trainable_parameters, cost.total_parameters)
        parts.append(f", {cost.trainable_parameters:,} parameters trained ({share})")
    if cost.stored_bytes:
        parts.append(f", {form.size(cost.stored_bytes)} stored for this task")
    if cost.seconds is not None:
        parts.append(f", {form.seconds(cost.seconds)} of work")
    return "".join(parts) + "."


def _dearer(task: Task, winner: Trial, trials: Sequence[Trial], comparisons: Sequence[Comparison]) -> str:
    price = winner.cost.seconds or 0.0
    dearer = [
        trial
        for trial in trials
        if trial.status in ("finished", "eliminated")
        and trial.id != winner.id
        and (trial.cost.seconds or 0.0) > price
    ]
    judged = {c.challenger: c for c in comparisons if c.leader == winner.id}
    rivals = [trial for trial in dearer if trial.id in judged]
    if rivals:
        best = max(rivals, key=lambda trial: judged[trial.id].gain)
        found = judged[best.id]
        factor = (best.cost.seconds or 0.0) / max(price, 1e-9)
        verb = "changed" if form.direction(task.metric) > 0 else "bettered"
        gain, low, high = (form.gain(value, task.metric) for value in (found.gain, found.low, found.high))
        return (
            f"The best dearer trial, {best.id}, would have {verb} the validation score by "
            f"{gain} [{low}, {high}]{_unit(task)} for {factor:.1f} times the work."
        )
    beaten = [c for c in comparisons if c.challenger == winner.id]
    gain = (
        f" It gains {form.gain(beaten[-1].gain, task.metric)}{_unit(task)} over {beaten[-1].leader}."
        if beaten
        else ""
    )
    stopped = [trial.id for trial in trials if trial.status == "eliminated" and trial.validation is None]
    if stopped:
        names = ", ".join(stopped)
        return f"Short runs of {names} promised too little to be finished, for the reasons given.{gain}"
    unrun = [trial.id for trial in trials if trial.status in ("skipped", "priced")]
    if unrun:
        return f"Nothing dearer was run: {', '.join(unrun)} stayed out, for the reasons given.{gain}"
    return f"Nothing dearer is left to try among the regimes that raced.{gain}"


def _unit(task: Task) -> str:
    unit = form.gain_unit(task.metric)
    return f" {unit}" if unit else ""


def _flip(winner: Trial, trials: Sequence[Trial], comparisons: Sequence[Comparison]) -> str:
    doubts = [c for c in comparisons if c.leader == winner.id and c.decision == "kept out"]
    if any("likely" in c.sentence for c in comparisons if c.challenger == winner.id):
        return "More labelled examples could flip the choice: the gain is likely, not proven."
    if doubts:
        closest = max(doubts, key=lambda c: c.p_worthwhile)
        return (
            f"More labelled examples could flip the choice: {closest.challenger} is still worth its cost with "
            f"probability {closest.p_worthwhile:.2f}."
        )
    if any("budget" in trial.reason for trial in trials):
        return "A larger budget could flip the choice: some regimes did not fit into this one."
    if any("allowed" in trial.reason for trial in trials):
        return "Looser limits could flip the choice: some regimes were ruled out by them."
    if not comparisons:
        return "Nothing else was measured here, so that nothing can be said of what would flip the choice."
    if winner.cut == 0:
        return "Far fewer labels, or a limit on stored bytes, could flip the choice toward a cheaper regime."
    return "Ten times the data, or a domain further from what the backbone has seen, could flip the choice."
