"""How far the numbers can be trusted: luck in the choice, proof of freezing, and the first proposed cut."""

from __future__ import annotations

from dataclasses import dataclass

from cutpoint.evaluation.metrics import METRICS
from cutpoint.reports import facts, format
from cutpoint.types import Result, Score, Trial


def luck_in_words(result: Result) -> tuple[str, ...]:
    """The winner's validation score against its test score, and how much of it luck explains."""
    winner = facts.winner_of(result)
    if winner is None or winner.validation is None:
        return ()
    sentences = []
    if result.test is not None and result.test.metric == winner.validation.metric:
        sentences.append(_against_test(winner.validation, result.test))
    if result.looks and result.optimism is not None:
        sentences.append(_expected_luck(winner.validation, result.looks, result.optimism))
    return tuple(sentences)


@dataclass(frozen=True)
class Frozen:
    """Trials of which it is proven that what was frozen did not move."""

    rows: tuple[tuple[str, Trial], ...]
    """Label and trial."""
    sentence: str


def frozen_proofs(result: Result) -> Frozen | None:
    """The proofs; None where no trial recorded one."""
    labels = facts.labels_of(result)
    rows = tuple(
        (labels[trial.id], trial) for trial in facts.cheapest_first(result.trials) if trial.frozen_digest
    )
    if not rows:
        return None
    return Frozen(
        rows,
        f"In {format.plural(len(rows), 'trial')} the frozen tensors, running statistics included, had the same "
        "fingerprint after training as before it, bit for bit.",
    )


def first_cuts_in_words(result: Result) -> str:
    """How often the every-layer probe's first proposal was the best cut raced; empty where none was compared.

    Of the cuts that it proposes the first is the deepest; the further ones freeze less.
    """
    if result.settings.get("cut") is not None:
        return ""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in result.trials:
        if trial.cut and trial.validation and trial.status in ("finished", "eliminated"):
            groups.setdefault((trial.backbone, trial.regime), []).append(trial)
    raced = [trials for trials in groups.values() if len({trial.cut for trial in trials}) > 1]
    if not raced:
        return ""
    met = sum(_best(trials, result.task.metric).cut == _deepest(trials).cut for trials in raced)
    return (
        f"The every-layer probe's first proposed cut was the best of the cuts raced in {met} of "
        f"{format.plural(len(raced), 'comparison')}: {'; '.join(_cuts(trials, result) for trials in raced)}."
    )


def _against_test(validation: Score, test: Score) -> str:
    change = _gain(test.metric, validation.value, test.value)
    inside = validation.low <= test.value <= validation.high
    return (
        f"The trial that ships scored {format.score(validation)} on validation and {format.score(test)} on the test "
        f"examples ({format.gain_words(change, test.metric)}), {'inside' if inside else 'outside'} the validation "
        f"interval of {format.interval(validation)}."
    )


def _expected_luck(validation: Score, looks: int, optimism: float) -> str:
    sign = format.direction(validation.metric)
    excess = _gain(validation.metric, validation.value - sign * optimism, validation.value)
    amount = format.gain_words(abs(excess), validation.metric).lstrip("+")
    return (
        f"{format.plural(looks, 'trial')} looked at the same validation examples, and the best of so many noisy "
        f"scores is expected to flatter by about {amount}; the test examples were looked at once, so the test score "
        "is free of that."
    )


def _gain(metric: str, before: float, after: float) -> float:
    if metric in METRICS:
        return float(METRICS[metric].gain(before, after))
    return format.direction(metric) * (after - before)


def _best(trials: list[Trial], metric: str) -> Trial:
    sign = format.direction(metric)
    return max(trials, key=lambda trial: sign * trial.validation.value if trial.validation else 0.0)


def _deepest(trials: list[Trial]) -> Trial:
    return max(trials, key=lambda trial: trial.cut or 0)


def _cuts(trials: list[Trial], result: Result) -> str:
    labels = facts.labels_of(result)
    ordered = sorted(trials, key=lambda trial: -(trial.cut or 0))
    return ", ".join(f"{labels[trial.id]} {format.score(trial.validation)}" for trial in ordered)
