"""Whether the confident errors of a model on the test split follow its backbone's source classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cutpoint.backbones.backbone import Backbone
from cutpoint.evaluation.source_classes import errors_follow_source, usual_targets
from cutpoint.features.bank import FeatureBank
from cutpoint.heads.modules import NoHead
from cutpoint.model import Model, Network
from cutpoint.types import Dataset, Finding, Task


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
    train = dataset.splits["train"]
    seen = backbone.source_scores(bank.pooled().final[bank.positions(train)])
    usual = usual_targets(seen.argmax(axis=1), dataset.targets[train], seen.shape[1])
    test = dataset.splits["test"]
    return errors_follow_source(
        source=backbone.source_scores(_features(backbone, dataset, test)).argmax(axis=1),
        usual=usual,
        truth=dataset.targets[test],
        predictions=predictions,
        names=backbone.source_classes if len(backbone.source_classes) == seen.shape[1] else (),
    )


def _features(backbone: Backbone, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Of the pretrained backbone, which the trained model may have left."""
    network = Network(backbone.module, NoHead())
    bare = Model(backbone, network, Task(kind="regression", metric="r2"), "features", len(backbone.blocks))
    return bare.embed([dataset.inputs[int(row)] for row in rows])
