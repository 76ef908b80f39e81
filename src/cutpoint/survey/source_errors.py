"""Whether the confident errors of a model on the test split follow its backbone's source classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cutpoint.evaluation.source_classes import errors_follow_source, usual_targets
from cutpoint.features.bank import FeatureBank
from cutpoint.features.spans import Rows
from cutpoint.heads.chunks import chunks
from cutpoint.types import Dataset, Finding


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
    outputs, seen = _likeliest(bank, train)
    return errors_follow_source(
        source=_likeliest(bank.of(test), test)[1],
        usual=usual_targets(seen, dataset.targets[train], outputs),
        truth=dataset.targets[test],
        predictions=predictions,
        names=backbone.source_classes if len(backbone.source_classes) == outputs else (),
    )


def _likeliest(bank: FeatureBank, rows: Rows) -> tuple[int, NDArray[np.int64]]:
    """How many classes the pretraining had, and which of them it sees in each row (N,)."""
    source_scores = bank.backbone.source_scores
    assert source_scores is not None
    outputs, seen = 0, [np.zeros(0, dtype=np.int64)]
    for _, features in chunks(bank.pooled().final, bank.positions(rows)):
        scores = source_scores(features)
        outputs = scores.shape[1]
        seen.append(scores.argmax(axis=1))
    return outputs, np.concatenate(seen)
