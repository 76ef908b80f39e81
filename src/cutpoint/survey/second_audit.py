"""The second pass of the audit: what only a backbone's features can tell of the data.

It runs on what the first pass of the race computed anyway; of the test split it looks at the inputs alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from cutpoint.audit import labels, neighbours, pretraining, shift
from cutpoint.backbones.backbone import Backbone
from cutpoint.data.splits import class_counts
from cutpoint.evaluation.findings import gravest_first
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.heads.chunks import Chosen, Features, Stacked, chunks
from cutpoint.planning.judging import Judging, Rows
from cutpoint.planning.watcher import Watcher
from cutpoint.runtime import hand_back_much
from cutpoint.survey.label_gain import label_gain_findings
from cutpoint.survey.probabilities import out_of_sample
from cutpoint.types import Audit, Dataset, Finding, LabelIssue

MOST_TEST = 5_000
"""Test examples whose features are computed; of more, so many are drawn."""
MOST_COMPARED = 20_000
"""Examples among which near duplicates are looked for, …"""
_MOST_NUMBERS = 16_000_000
"""… and rows times columns: they are held, and that several times."""

_CODES = (labels.CODE, neighbours.WITHIN, shift.CODE, pretraining.CODE)


def audit_features(
    dataset: Dataset,
    judging: Judging,
    bank: FeatureBank,
    audit: Audit | None = None,
    watcher: Watcher | None = None,
    seed: int = 0,
) -> Audit:
    """Look for wrong labels, near duplicates, shift between splits and classes that the backbone was taught.

    Where the user corrected labels, what that gained is told as well (see `cutpoint.survey.label_gain`).
    Labels of the test split are not looked at. Of many rows some are drawn: see `MOST_TEST`, `MOST_COMPARED`,
    `cutpoint.survey.probabilities.MOST_ROWS` and `cutpoint.audit.shift.MOST_ROWS`.

    Args:
        dataset: The data.
        judging: Its rows are audited: training and validation.
        bank: Holds the features of these rows; those of the test split are computed into the same cache.
        audit: What was found without a model; what is found here joins it.
        watcher: Hears of the work.
        seed: Draws rows and folds.
    """
    found = _second(_Material(dataset, judging.rows, bank, seed), watcher or Watcher())
    if labels.CODE in found.checked:
        gain = label_gain_findings(dataset, judging, bank, seed)
        found = found.model_copy(update={"findings": (*found.findings, *gain)})
    return _joined(audit, found)


def audit_with_backbone(
    dataset: Dataset,
    backbone: Backbone,
    cache: ActivationCache,
    seed: int = 0,
    audit: Audit | None = None,
    watcher: Watcher | None = None,
) -> Audit:
    """The same without a race: of the training and validation rows; arguments as for `audit_features`."""
    watcher = watcher or Watcher()
    rows = np.sort(np.concatenate([rows for split, rows in dataset.splits.items() if split != "test"]))
    bank = FeatureBank(backbone, dataset, rows, cache, on_progress=watcher.on_work)
    return _joined(audit, _second(_Material(dataset, rows, bank, seed), watcher))


@dataclass(frozen=True)
class _Material:
    """What the checks look at."""

    dataset: Dataset
    rows: Rows
    bank: FeatureBank
    seed: int

    @property
    def test_rows(self) -> Rows:
        """At most `MOST_TEST`."""
        rows = self.dataset.splits.get("test", np.zeros(0, dtype=np.int64))
        return np.sort(np.random.default_rng(self.seed).permutation(rows)[:MOST_TEST])

    def known(self) -> Features:
        """Features of the training and validation rows, read when they are asked for."""
        return Chosen(self.bank.pooled().final, self.bank.positions(self.rows))

    def unknown(self) -> Features:
        """Features of the test rows, likewise."""
        known, rows = self.bank, self.test_rows
        if not len(rows):
            return np.zeros((0, known.backbone.width), dtype=np.float32)
        return known.of(rows).pooled().final


Found = tuple[tuple[Finding, ...], tuple[LabelIssue, ...]]
Checks = dict[str, tuple[Callable[[], Found], str]]
"""Code → the check, and why it does not apply; empty where it does."""


def _second(material: _Material, watcher: Watcher) -> Audit:
    started = time.monotonic()
    reason = _no_features(material)
    if reason:
        return Audit(checked=(), not_checked=dict.fromkeys(_CODES, reason))
    backbone = material.bank.backbone
    watcher.on_message(
        f"Auditing the data in the features of {backbone.name}."
        if backbone.blocks
        else "Auditing the labels."
    )
    known, unknown = material.known(), material.unknown()
    if not (_are_finite(known) and _are_finite(unknown)):
        return Audit(checked=(), not_checked=dict.fromkeys(_CODES, "some features are not finite"))
    checks = _checks(material, known, unknown)
    found = {}
    for code, (check, reason) in checks.items():
        if not reason:
            hand_back_much()
            found[code] = check()
    return Audit(
        checked=tuple(found),
        not_checked={code: reason for code, (_, reason) in checks.items() if reason},
        findings=tuple(finding for findings, _ in found.values() for finding in findings),
        label_issues=tuple(issue for _, issues in found.values() for issue in issues),
        seconds=time.monotonic() - started,
    )


def _no_features(material: _Material) -> str:
    if material.dataset.task.kind in ("tagging", "language"):
        return "it needs one row of features an example"
    return "" if len(material.rows) else "there are no training examples"


def _are_finite(features: Features) -> bool:
    return all(np.isfinite(chunk).all() for _, chunk in chunks(features, np.arange(len(features))))


def _checks(material: _Material, known: Features, unknown: Features) -> Checks:
    dataset, seed = material.dataset, material.seed
    numbers = "rows of numbers are compared as they are" if dataset.modality == "features" else ""
    return {
        labels.CODE: (partial(_labels, material, known), _no_labels(material)),
        neighbours.WITHIN: (partial(_neighbours, material, known, unknown), numbers),
        shift.CODE: (
            lambda: (
                shift.shift_findings(dataset, *_training(material, known), material.test_rows, unknown, seed),
                (),
            ),
            _no_shift(material),
        ),
        pretraining.CODE: (partial(_pretraining, material), _no_source(material)),
    }


def _labels(material: _Material, known: Features) -> Found:
    dataset, rows = material.dataset, material.rows
    asked, probabilities = out_of_sample(dataset, rows, known, material.seed)
    if len(asked) < labels.FEWEST:
        return (), ()
    issues = labels.label_issues(
        probabilities, dataset.targets[asked], dataset.task.labels, [dataset.names[int(row)] for row in asked]
    )
    return labels.label_findings(dataset, asked, probabilities, issues), issues


def _neighbours(material: _Material, known: Features, unknown: Features) -> Found:
    rows = np.concatenate([material.rows, material.test_rows])
    most = min(MOST_COMPARED, _MOST_NUMBERS // known.shape[1])
    drawn = np.sort(np.random.default_rng(material.seed).permutation(len(rows))[:most])
    features = Chosen(Stacked(known, unknown), drawn)
    return neighbours.neighbour_findings(material.dataset, rows[drawn], features, material.seed), ()


def _pretraining(material: _Material) -> Found:
    backbone = material.bank.backbone
    labels_of_task = material.dataset.task.labels
    return pretraining.pretraining_finding(labels_of_task, backbone.source_classes, backbone.name), ()


def _training(material: _Material, known: Features) -> tuple[Rows, Features]:
    """Training rows alone: a given validation split may come from elsewhere again."""
    own = np.isin(material.rows, material.dataset.splits["train"])
    return material.rows[own], Chosen(known, np.flatnonzero(own))


def _no_labels(material: _Material) -> str:
    task = material.dataset.task
    if not task.is_classification:
        return "it needs one label an example"
    counts = class_counts(task, material.dataset.targets[material.rows])
    if counts[counts > 1].sum() < labels.FEWEST or (counts > 1).sum() < 2:
        return f"fewer than {labels.FEWEST} examples of classes with two or more"
    return ""


def _no_shift(material: _Material) -> str:
    if not len(material.test_rows):
        return "there is no test split"
    if material.dataset.test_origin == "held out":
        return "the test split was drawn at random"
    if min(len(material.test_rows), len(material.dataset.splits["train"])) < shift.FEWEST_ROWS:
        return f"fewer than {shift.FEWEST_ROWS} examples in a split"
    return ""


def _no_source(material: _Material) -> str:
    if not material.dataset.task.labels:
        return "there are no classes"
    backbone = material.bank.backbone
    return (
        "" if backbone.source_classes else f"the classes of the pretraining of {backbone.name} are not known"
    )


def _joined(first: Audit | None, second: Audit) -> Audit:
    if first is None:
        return second.model_copy(update={"findings": gravest_first(second.findings)})
    return first.model_copy(
        update={
            "checked": (*first.checked, *second.checked),
            "not_checked": {**first.not_checked, **second.not_checked},
            "findings": gravest_first((*first.findings, *second.findings)),
            "label_issues": (*first.label_issues, *second.label_issues),
            "seconds": first.seconds + second.seconds,
        }
    )
