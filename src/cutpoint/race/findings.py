"""What the race as a whole shows, beyond single trials: negative transfer, a backbone that says nothing, thin data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cutpoint.advice.bands import TINY_BELOW
from cutpoint.backbones.table import GLYPHS
from cutpoint.backbones.vectors import STATISTICS_NAME
from cutpoint.evaluation.calibration import calibrate, overconfidence
from cutpoint.evaluation.comparison import compare
from cutpoint.evaluation.diagnosis import negative_transfer
from cutpoint.evaluation.metrics import METRICS, check_metric
from cutpoint.planning.judging import Judging
from cutpoint.race.examination import Examination
from cutpoint.race.trained import best_of, is_scratch
from cutpoint.types import Dataset, Finding, Trial

EASY = 0.95
"""From this score of hand-made statistics on, a task is called easy rather than distant."""

Predictions = Mapping[str, NDArray[np.float32]]


def race_findings(
    dataset: Dataset,
    judging: Judging,
    trials: Sequence[Trial],
    predictions: Predictions,
    winner: Trial,
    examination: Examination,
) -> list[Finding]:
    """Findings on the winner, on transfer as a whole, and on the data."""
    found = list(winner.findings)
    judged = [trial for trial in trials if trial.id in predictions]
    found += _negative_transfer(dataset, judging, judged, predictions)
    found += _says_nothing(dataset, judging, judged, predictions)
    found += _few_labels(dataset)
    found += _lucky(winner, examination)
    found += _forgets(winner)
    found += _overconfident(dataset, examination)
    return found


def _negative_transfer(
    dataset: Dataset, judging: Judging, judged: Sequence[Trial], predictions: Predictions
) -> list[Finding]:
    """The best pretrained trial of each backbone against the same architecture from random weights."""
    found = []
    for scratch in (trial for trial in judged if is_scratch(trial)):
        rivals = [t for t in judged if t.backbone == scratch.backbone and not is_scratch(t)]
        if not rivals:
            continue
        best = best_of(rivals)
        finding = negative_transfer(
            dataset.task,
            dataset.targets[judging.judged],
            scratch=predictions[scratch.id],
            pretrained=predictions[best.id],
            scratch_id=scratch.id,
            pretrained_id=best.id,
            groups=dataset.groups_of(judging.judged),
        )
        found += [finding] if finding else []
    return found


def _says_nothing(
    dataset: Dataset, judging: Judging, judged: Sequence[Trial], predictions: Predictions
) -> list[Finding]:
    """Whether frozen features tell no more than hand-made statistics: then the domain is distant."""
    plain = [trial for trial in judged if trial.backbone == STATISTICS_NAME]
    probes = [
        trial for trial in judged if trial.regime == "linear-probe" and trial.backbone != STATISTICS_NAME
    ]
    if not plain or not probes:
        return []
    probe = best_of(probes)
    compared = compare(
        dataset.task,
        dataset.targets[judging.judged],
        predictions[plain[0].id],
        predictions[probe.id],
        leader_id=plain[0].id,
        challenger_id=probe.id,
        groups=dataset.groups_of(judging.judged),
    )
    if compared.decision == "replaces":
        return []
    reached = plain[0].validation
    if check_metric(dataset.task).share and reached is not None and reached.value >= EASY:
        return [
            Finding(
                code="easy-task",
                severity="info",
                text=f"Simple image statistics do as well as the frozen features of {probe.backbone}: an easy task.",
                evidence=compared.sentence,
                remedy="Check that nothing incidental (background, size, lighting) gives the classes away.",
            )
        ]
    remedy = (
        "Try a backbone that was pretrained on images like yours; trust trained blocks more than frozen ones."
    )
    if probe.backbone == GLYPHS:
        remedy = f"{GLYPHS} has seen printed characters only. Name a backbone for photos with --backbone."
    return [
        Finding(
            code="distant-domain",
            severity="warning",
            text=f"The frozen features of {probe.backbone} tell no more than simple image statistics.",
            evidence=compared.sentence,
            remedy=remedy,
        )
    ]


def _few_labels(dataset: Dataset) -> list[Finding]:
    if not dataset.task.is_classification:
        return []
    counts = np.bincount(dataset.targets[dataset.splits["train"]], minlength=dataset.task.outputs)
    few = [f"{dataset.task.labels[i]} ({counts[i]})" for i in np.argsort(counts) if counts[i] < TINY_BELOW]
    if not few:
        return []
    return [
        Finding(
            code="few-labels",
            severity="warning",
            text=f"{len(few)} of {len(counts)} classes have fewer than {TINY_BELOW} training examples.",
            evidence=", ".join(few[:5]),
            remedy="Label more of these first; 20–50 a class give a usable signal, 100–1000 strong results.",
        )
    ]


def _lucky(winner: Trial, examination: Examination) -> list[Finding]:
    """A test score worse than the whole validation interval: the winner's curse, or a shifted test split."""
    validation, test = winner.validation, examination.score
    if validation is None or test is None:
        return []
    rises = METRICS[test.metric].greater_is_better
    if not (test.high < validation.low if rises else test.low > validation.high):
        return []
    return [
        Finding(
            code="test-below-validation",
            severity="warning",
            text="The test score is clearly worse than the validation score.",
            evidence=f"validation {validation.value:.3f} [{validation.low:.3f}, {validation.high:.3f}], "
            f"test {test.value:.3f} [{test.low:.3f}, {test.high:.3f}]",
            remedy="Trust the test score. Check that the test split comes from where the model will be used.",
        )
    ]


def _forgets(winner: Trial) -> list[Finding]:
    """A loss on the reference set that is clear of chance."""
    retention = winner.retention
    if retention is None or retention.high >= 0:
        return []
    return [
        Finding(
            code="forgetting",
            severity="warning",
            text="The model that ships does worse on the reference than the pretrained backbone.",
            evidence=retention.sentence,
            remedy="Where that matters, ship a trial that lost less, train at a lower rate, or mix in such data.",
        )
    ]


def _overconfident(dataset: Dataset, examination: Examination) -> list[Finding]:
    """Probabilities on the test split that promise more than they hold."""
    predictions = examination.predictions
    if predictions is None or dataset.task.kind not in ("binary", "multiclass", "multilabel"):
        return []
    finding = overconfidence(calibrate(dataset.task, dataset.targets[dataset.splits["test"]], predictions))
    return [finding] if finding else []
