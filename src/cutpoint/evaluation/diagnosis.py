"""What goes wrong in training, read off curves and scores: each finding with its evidence and its remedy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.evaluation.comparison import compare
from cutpoint.evaluation.curves import Curve, diagnose_curves
from cutpoint.evaluation.findings import in_some_fits, warning
from cutpoint.evaluation.intervals import as_repeats
from cutpoint.evaluation.metrics import METRICS, check_metric
from cutpoint.types import IGNORED, Finding, Score, Task

Array = NDArray[Any]

GAP = 0.10
"""Ten points between training and validation: above what a few hundred examples differ by chance."""
LOG_LOSS_GAP = 0.25
"""A quarter of a nat: the right class's probability is lower by a fifth on unseen examples."""
ERROR_GAP = 0.5
"""Errors half as large again on unseen values."""
LEAST_SKILL = 0.5
"""A training score less than half of the way from a constant answer to perfection."""

_FREEZE_MORE = (
    "More labels help most. Where blocks train: freeze more, lower the rate, add augmentation or weight decay, or "
    "train fewer epochs."
)
_UNFREEZE = "Unfreeze upper blocks, use a head or a backbone of higher capacity, or one from a nearer domain."
_NO_TRANSFER = (
    "Ship the one from scratch, or use a backbone from a nearer domain, an intermediate domain, gradual "
    "unfreezing, lower early rates or L2-SP."
)


def diagnose(
    curves: Sequence[Curve],
    *,
    train: Score | None,
    validation: Score | None,
    chance: float | None,
    known: Sequence[Sequence[Finding]] = (),
) -> list[Finding]:
    """Everything that one trial's curves and scores show.

    Args:
        curves: One for each fit (fold); may be empty, as for an exact head.
        train: Score on the training rows, where it was taken.
        validation: Score on rows that the fit did not see.
        chance: What a constant answer scores, `chance_score`; None where there is no such answer.
        known: What each fit found in itself; it stands first, each fault once.
    """
    findings = _once(known)
    findings += [each for each in diagnose_curves(curves) if each.code not in {own.code for own in findings}]
    if train is not None and validation is not None:
        found = diagnose_scores(train, validation, chance=chance)
        is_wrecked = any(each.code in _WRECKS and each.severity == "warning" for each in findings)
        findings += [each for each in found if not (is_wrecked and each.code == "underfitting")]
    return findings


_WRECKS = ("diverged", "rate-too-high")
"""What leaves nothing learned behind: more capacity, the remedy of underfitting, would mend none of it."""


def diagnose_scores(train: Score, validation: Score, *, chance: float | None) -> list[Finding]:
    """Overfitting (variance), or underfitting (bias), which only a constant answer's score shows."""
    evidence = f"{train.metric}: training {train.value:.3g}, validation {validation.value:.3g}"
    metric = METRICS[train.metric]
    if metric.sign * (train.value - validation.value) >= _widest_gap(train):
        text = "Overfitting: the fit knows its training examples much better than new ones."
        return [warning("overfitting", text, evidence, _FREEZE_MORE)]
    if chance is None:
        return []
    skill = (train.value - chance) / (1 - chance) if metric.greater_is_better else 1 - train.value / chance
    if skill < LEAST_SKILL:
        text = "Underfitting: even the training examples are not learned well."
        evidence += f", a constant answer {round(chance, 9):.3g}"
        return [warning("underfitting", text, evidence, _UNFREEZE)]
    return []


def chance_score(task: Task, targets: Array) -> float | None:
    """The metric of the best constant answer: class shares, label shares, the mean, or the commonest tag.

    None for language: which answer is constant there, and what it scores, the tokenizer decides.

    Raises:
        DataError: The metric is not defined on these targets.
    """
    if task.kind == "language":
        return None
    if task.kind == "tagging":
        is_word = targets != IGNORED
        commonest = np.bincount(targets[is_word], minlength=task.outputs).argmax()
        return check_metric(task).function(targets, np.where(is_word, commonest, -1), task)
    if task.is_classification:
        constant = np.bincount(targets, minlength=task.outputs) / len(targets)
    else:
        constant = targets.reshape(len(targets), -1).mean(axis=0)
    predictions = np.tile(constant.astype(np.float32), (len(targets), 1))
    return check_metric(task).function(targets, predictions, task)


def negative_transfer(
    task: Task,
    targets: Array,
    *,
    scratch: Array,
    pretrained: Array,
    scratch_id: str,
    pretrained_id: str,
    groups: Array | None = None,
    seed: int = 0,
) -> Finding | None:
    """Whether random weights beat the best pretrained trial of the same architecture on the same rows.

    Predictions are (N, outputs) or (R, N, outputs); the rule is that of `compare`.
    """
    comparison = compare(
        task,
        targets,
        as_repeats(pretrained),
        as_repeats(scratch),
        leader_id=pretrained_id,
        challenger_id=scratch_id,
        groups=groups,
        seed=seed,
    )
    if comparison.decision != "replaces":
        return None
    text = "Negative transfer: the pretrained weights lose to the same architecture from random weights."
    return warning("negative-transfer", text, comparison.sentence, _NO_TRANSFER)


def _once(known: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Each fault of any fit, as the first fit that shows it tells it."""
    found: dict[str, Finding] = {}
    for finding in (each for fit in known for each in fit):
        found.setdefault(finding.code, finding)
    counts = {code: sum(any(each.code == code for each in fit) for fit in known) for code in found}
    return [in_some_fits(finding, counts[code], len(known)) for code, finding in found.items()]


def _widest_gap(train: Score) -> float:
    if train.metric == "log_loss":
        return LOG_LOSS_GAP
    if train.metric == "perplexity":
        return train.value * math.expm1(LOG_LOSS_GAP)
    return GAP if METRICS[train.metric].greater_is_better else ERROR_GAP * train.value
