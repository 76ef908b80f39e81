"""The winner on the test split: once, after the choice."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.images import open_image
from cutpoint.evaluation.intervals import score
from cutpoint.model import Model
from cutpoint.race.watcher import Watcher
from cutpoint.types import ConfusionMatrix, Dataset, Mistake, Score

_MISTAKES = 12
_THUMBNAIL = 112


@dataclass(frozen=True)
class Examination:
    """What the test split shows."""

    score: Score | None
    confusion: ConfusionMatrix | None
    mistakes: tuple[Mistake, ...]
    predictions: NDArray[np.float32] | None


def examine(model: Model, dataset: Dataset, watcher: Watcher) -> Examination:
    """Score, confusion matrix and most confident mistakes; nothing where there is no test split."""
    rows = dataset.splits.get("test", np.zeros(0, dtype=np.int64))
    if len(rows) == 0:
        return Examination(None, None, (), None)
    inputs = [dataset.inputs[int(row)] for row in rows]
    predictions = model.predict_scores(
        inputs, on_progress=lambda done, total: watcher.on_work("judging on the test split", done, total)
    )
    targets = dataset.targets[rows]
    groups = None if dataset.groups is None else dataset.groups[rows]
    found = score(dataset.task, targets, predictions, groups=groups)
    if not dataset.task.is_classification:
        return Examination(found, None, (), predictions)
    return Examination(
        found, _confusion(dataset, targets, predictions), _mistakes(dataset, rows, predictions), predictions
    )


def _confusion(
    dataset: Dataset, targets: NDArray[np.int64], predictions: NDArray[np.float32]
) -> ConfusionMatrix:
    classes = dataset.task.outputs
    pairs = targets * classes + predictions.argmax(axis=1)
    counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    return ConfusionMatrix(
        labels=dataset.task.labels, counts=tuple(tuple(int(count) for count in row) for row in counts)
    )


def _mistakes(
    dataset: Dataset, rows: NDArray[np.int64], predictions: NDArray[np.float32]
) -> tuple[Mistake, ...]:
    predicted, confidence = predictions.argmax(axis=1), predictions.max(axis=1)
    wrong = np.flatnonzero(predicted != dataset.targets[rows])
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MISTAKES]
    labels = dataset.task.labels
    return tuple(
        Mistake(
            name=dataset.names[int(rows[i])],
            truth=labels[int(dataset.targets[rows[i]])],
            predicted=labels[int(predicted[i])],
            confidence=float(confidence[i]),
            thumbnail=_thumbnail(dataset, int(rows[i])),
        )
        for i in worst
    )


def _thumbnail(dataset: Dataset, row: int) -> str | None:
    if dataset.modality != "image":
        return None
    image = open_image(dataset.inputs[row])
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
