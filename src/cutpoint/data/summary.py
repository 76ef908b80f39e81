"""Counts and a content hash of a dataset."""

from __future__ import annotations

import json

import numpy as np
import xxhash

from cutpoint.data.splits import class_counts
from cutpoint.types import Dataset, DataSummary

_MOST_NAMED = 10


def content_hash(dataset: Dataset) -> str:
    """xxh3-128 over keys, targets, splits, groups and the task: equal where the same run would follow.

    Names, paths and the metric do not count: the same files elsewhere have the same hash.
    """
    digest = xxhash.xxh3_128()
    digest.update(
        json.dumps([dataset.modality, dataset.task.kind, dataset.task.labels, dataset.keys]).encode()
    )
    digest.update(f"{dataset.targets.dtype.str}{dataset.targets.shape}".encode())
    digest.update(np.ascontiguousarray(dataset.targets).tobytes())
    for name in sorted(dataset.splits):
        rows = np.ascontiguousarray(dataset.splits[name], dtype=np.int64)
        digest.update(f"{name}{len(rows)}".encode() + rows.tobytes())
    if dataset.groups is not None:
        digest.update(json.dumps([str(group) for group in dataset.groups]).encode())
    return digest.hexdigest()


def summarise(dataset: Dataset) -> DataSummary:
    """Counts of each split and class (of each label, for multi-label; words of each tag; none without labels)."""
    counts: dict[str, dict[str, int]] = {}
    if dataset.task.labels:
        for name, rows in dataset.splits.items():
            own = class_counts(dataset.task, dataset.targets[rows])
            counts[name] = {label: int(n) for label, n in zip(dataset.task.labels, own, strict=True)}
    return DataSummary(
        source=dataset.source,
        modality=dataset.modality,
        rows={name: len(rows) for name, rows in dataset.splits.items()},
        class_counts=counts,
        hash=content_hash(dataset),
        quarantined=dataset.quarantined,
        notes=dataset.notes,
    )


def describe(dataset: Dataset) -> str:
    """One line on what was understood of the data."""
    task, counts = dataset.task, {name: len(rows) for name, rows in dataset.splits.items()}
    sizes = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    what = f", {len(task.labels)} {'tags' if task.kind == 'tagging' else 'classes'}" if task.labels else ""
    held = " (held out from it)" if dataset.test_origin == "held out" else ""
    aside = ""
    if dataset.quarantined:
        named = "; ".join(f"{each.name} ({each.reason})" for each in dataset.quarantined[:_MOST_NAMED])
        more = len(dataset.quarantined) - _MOST_NAMED
        rest = f" and {more} more, in result.json" if more > 0 else ""
        aside = f" Set aside, {len(dataset.quarantined)} unreadable: {named}{rest}."
    return f"{dataset.modality} data, {task.kind}{what}: {sizes}{held}. Judged by {task.metric}.{aside}"
