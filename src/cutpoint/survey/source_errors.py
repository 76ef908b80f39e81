"""Whether the confident errors of a model on the test split follow its backbone's source classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from cutpoint.backbones.backbone import Backbone
from cutpoint.evaluation.source_classes import errors_follow_source, usual_targets
from cutpoint.features.bank import FeatureBank
from cutpoint.heads.chunks import chunks
from cutpoint.heads.modules import NoHead
from cutpoint.model import Model, Network
from cutpoint.types import Dataset, Finding, Task

_AT_ONCE = 2_048
"""Test examples whose features are held."""


def source_error_finding(
    bank: FeatureBank, dataset: Dataset, predictions: NDArray[np.float32] | None
) -> Finding | None:
    """Look at the confident errors with the eyes of the pretrained classifier.

    Args:
        bank: Of the winner's backbone; holds the training rows.
        dataset: Its test split is what `predictions` are of.
        predictions: (N, classes) probabilities on the test split, or None.

    Returns:
        None also where the task has no classes, or the classifier of the pretraining is not at hand.
    """
    backbone = bank.backbone
    if backbone.source_scores is None or predictions is None or not dataset.task.is_classification:
        return None
    train, test = dataset.splits["train"], dataset.splits["test"]
    outputs, seen = _likeliest(
        backbone, (chunk for _, chunk in chunks(bank.pooled().final, bank.positions(train)))
    )
    return errors_follow_source(
        source=_likeliest(backbone, _features(backbone, dataset, test))[1],
        usual=usual_targets(seen, dataset.targets[train], outputs),
        truth=dataset.targets[test],
        predictions=predictions,
        names=backbone.source_classes if len(backbone.source_classes) == outputs else (),
    )


def _likeliest(backbone: Backbone, parts: Iterable[NDArray[np.float32]]) -> tuple[int, NDArray[np.int64]]:
    """How many classes the pretraining had, and which of them it sees in each row (N,), part by part."""
    assert backbone.source_scores is not None
    outputs, seen = 0, [np.zeros(0, dtype=np.int64)]
    for part in parts:
        scores = backbone.source_scores(part)
        outputs = scores.shape[1]
        seen.append(scores.argmax(axis=1))
    return outputs, np.concatenate(seen)


def _features(backbone: Backbone, dataset: Dataset, rows: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """Of the pretrained backbone, which the trained model may have left; some rows at a time."""
    network = Network(backbone.module, NoHead())
    bare = Model(backbone, network, Task(kind="regression", metric="r2"), "features", len(backbone.blocks))
    for start in range(0, len(rows), _AT_ONCE):
        yield bare.embed([dataset.inputs[int(row)] for row in rows[start : start + _AT_ONCE]])
