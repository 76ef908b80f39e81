"""Counts and a content hash of a dataset."""

from __future__ import annotations

import json

import numpy as np
import xxhash

from cutpoint.data.splits import class_counts
from cutpoint.types import Dataset, DataSummary


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
