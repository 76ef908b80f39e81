"""The audit of content: what can be told of the data without a model, of images from what their reading showed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.alike import Alike, alike_images, alike_rows, alike_signals, alike_texts
from cutpoint.audit.balance import balance, class_weights
from cutpoint.audit.bursts import bursts
from cutpoint.audit.conflicts import conflicts
from cutpoint.audit.copies import inside, leaks
from cutpoint.audit.naming import ungrouped
from cutpoint.audit.repair import keep_together
from cutpoint.audit.shortcuts import shortcuts
from cutpoint.audit.sounds import LOUDNESS, silent, trivial_of_signals
from cutpoint.data.collected import counted, few
from cutpoint.data.fingerprints import image_fingerprints, text_fingerprints
from cutpoint.data.progress import Progress
from cutpoint.data.splits import class_counts
from cutpoint.evaluation.findings import gravest_first
from cutpoint.types import Audit, Dataset, Finding

_NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Examined:
    """Data with what was found in them.

    Attributes:
        dataset: As given, without the fingerprints, which have served; where Cutpoint held out the test part, without
            copies in it.
        audit: What is odd.
        alike: Which rows are copies: what a new split file needs.
    """

    dataset: Dataset
    audit: Audit
    alike: Alike


def examine_content(dataset: Dataset, on_progress: Progress | None = None) -> Examined:
    """Look for unreadable files, copies, leaks, clashing labels, uneven classes, hidden groups and shortcuts.

    Args:
        dataset: Any; checks that do not apply are listed with the reason.
        on_progress: Called with (done, total) while texts or sounds are read.
    """
    started = time.monotonic()
    alike, thumbnails, trivial = _fingerprints(dataset, on_progress)
    dataset, moved = keep_together(replace(dataset, fingerprints=None), alike.families)
    checks = _checks(dataset, alike, thumbnails, trivial)
    not_checked = {code: reason for code, (_, reason) in checks.items() if reason}
    found = [finding for _, (check, reason) in checks.items() if not reason for finding in check()]
    if moved:
        found.append(_moved(moved))
    audit = Audit(
        checked=tuple(code for code in checks if code not in not_checked),
        not_checked=not_checked,
        findings=gravest_first(found),
        class_weights=class_weights(dataset.task.labels, _training_counts(dataset))
        if dataset.task.labels
        else {},
        seconds=time.monotonic() - started,
    )
    return Examined(dataset, audit, alike)


Check = tuple[Callable[[], list[Finding]], str]
"""A check, and why it does not apply; empty where it does."""


def _checks(
    dataset: Dataset,
    alike: Alike,
    thumbnails: NDArray[np.uint8] | None,
    trivial: dict[str, NDArray[np.floating]],
) -> dict[str, Check]:
    task = dataset.task
    train, test = dataset.splits.get("train", _NOTHING), dataset.splits.get("test", _NOTHING)
    one_label = "" if task.is_classification else "it needs one label an example"
    grouped = "" if dataset.groups is None else "groups are given"
    in_files = "" if thumbnails is not None else "it needs images"
    labelled = (
        "" if task.is_classification or task.kind == "multilabel" else "it needs labels that are classes"
    )

    def labels() -> list[str]:
        return [task.labels[int(target)] for target in dataset.targets]

    return {
        "corrupt-files": (lambda: _unreadable(dataset), ""),
        "leaks": (
            lambda: leaks(dataset, alike),
            "" if len(test) or "val" in dataset.splits else "there is one split",
        ),
        "silent-signals": (
            lambda: silent(dataset, trivial[LOUDNESS]),
            "" if dataset.modality == "signal" else "it needs sounds or series",
        ),
        "duplicates": (lambda: inside(dataset, alike), ""),
        "conflicting-labels": (lambda: conflicts(dataset, alike), labelled),
        "imbalance": (lambda: balance(task.labels, _training_counts(dataset)), labelled),
        "groups-in-names": (lambda: ungrouped(dataset.names, labels(), train, test), grouped or one_label),
        "burst-shots": (
            lambda: bursts(dataset.names, _given(thumbnails), labels(), train, test),
            in_files or grouped or one_label,
        ),
        "shortcuts": (
            lambda: shortcuts(trivial, dataset.targets, task.labels),
            one_label or ("" if trivial else "nothing trivial is known of rows of numbers"),
        ),
    }


def _fingerprints(
    dataset: Dataset, on_progress: Progress | None
) -> tuple[Alike, NDArray[np.uint8] | None, dict[str, NDArray[np.floating]]]:
    """What is alike, thumbnails of images, and what is trivial about each example."""
    if dataset.modality == "features":
        return alike_rows(dataset), None, {}
    if dataset.modality == "text":
        texts = text_fingerprints(list(dataset.inputs), on_progress)
        return alike_texts(dataset, texts), None, {"length of the text": texts.lengths.astype(np.float64)}
    if dataset.modality == "signal":
        return alike_signals(dataset), None, trivial_of_signals(list(dataset.inputs), on_progress)
    images = dataset.fingerprints or image_fingerprints(list(dataset.inputs))
    trivial: dict[str, NDArray[np.floating]] = {
        "file size": images.file_bytes.astype(np.float64),
        "resolution": images.sizes.astype(np.float64),
        "border colour": images.borders.astype(np.float64),
        "mean brightness": images.brightness.astype(np.float64),
    }
    return alike_images(dataset, images), images.thumbnails, trivial


def _given(thumbnails: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    assert thumbnails is not None
    return thumbnails


def _training_counts(dataset: Dataset) -> NDArray[np.int64]:
    return class_counts(dataset.task, dataset.targets[dataset.splits.get("train", _NOTHING)])


def _unreadable(dataset: Dataset) -> list[Finding]:
    aside = dataset.quarantined
    if not aside:
        return []
    noun = {"image": "image", "text": "text", "signal": "signal"}.get(dataset.modality, "row")
    return [
        Finding(
            code="corrupt-files",
            severity="warning",
            text=f"{counted(len(aside), noun)} cannot be used and {'is' if len(aside) == 1 else 'are'} set aside.",
            evidence=few([f"{item.name} ({item.reason})" for item in aside], 5),
            remedy="Repair, replace or remove them.",
        )
    ]


def _moved(rows: int) -> Finding:
    return Finding(
        code="copies-kept-together",
        severity="info",
        text=f"{counted(rows, 'example')} would have been held out while a copy is trained on; the training split "
        "keeps them.",
        remedy="Nothing is to be done.",
    )
