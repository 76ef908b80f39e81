"""The winner on the test split: once, after the choice."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.exhibits import excerpt, thumbnail
from cutpoint.data.prompts import prompt_text, split_prompt
from cutpoint.errors import DataError
from cutpoint.evaluation.intervals import score
from cutpoint.features.bank import FeatureBank
from cutpoint.heads.chunks import Chosen, predict_rows
from cutpoint.heads.modules import NoHead
from cutpoint.model import Model, Network
from cutpoint.planning.watcher import Watcher
from cutpoint.types import ConfusionMatrix, Dataset, Mistake, Sample, Score

_ASKED = 32
_AGREED = 1e-3
"""Of probabilities, or values: more than engines may differ by."""
_MISTAKES = 12
_EXCERPT = 200
_SAMPLES = 4
_PROMPT = 600


@dataclass(frozen=True)
class Examination:
    """What the test split shows."""

    score: Score | None
    confusion: ConfusionMatrix | None
    mistakes: tuple[Mistake, ...]
    predictions: NDArray[np.float32] | None
    samples: tuple[Sample, ...] = ()


def examine(model: Model, bank: FeatureBank, watcher: Watcher) -> Examination:
    """Score, confusion matrix and most confident mistakes; nothing where there is no test split.

    Args:
        model: As it ships.
        bank: Of its backbone.
        watcher: Hears of the progress.
    """
    dataset = bank.dataset
    rows = dataset.splits.get("test", np.zeros(0, dtype=np.int64))
    if len(rows) == 0:
        return Examination(None, None, (), None)
    predictions = _predictions(model, bank, rows, watcher)
    targets = dataset.targets[rows]
    groups = dataset.groups_of(rows)
    found = score(dataset.task, targets, predictions, groups=groups)
    if dataset.task.kind == "language":
        return Examination(found, None, (), predictions, _samples(model, dataset, rows, watcher))
    if not dataset.task.is_classification:
        return Examination(found, None, (), predictions)
    return Examination(
        found, _confusion(dataset, targets, predictions), _mistakes(dataset, rows, predictions), predictions
    )


def _predictions(
    model: Model, bank: FeatureBank, rows: NDArray[np.int64], watcher: Watcher
) -> NDArray[np.float32]:
    """(N, …) by the model on raw inputs; where its backbone is as it came, by its head on features that the bank has.

    The model itself is asked about some rows even then, and about all where it answers otherwise.
    """
    inputs = [bank.dataset.inputs[int(row)] for row in rows]

    def ask(some: Sequence[Any]) -> NDArray[np.float32]:
        return model.predict_scores(
            some, on_progress=lambda done, total: watcher.on_work("judging on the test split", done, total)
        )

    is_as_it_came = model.cut == len(model.backbone.blocks) and model.adapter is None
    if not is_as_it_came or model.task.kind in ("tagging", "language"):
        return ask(inputs)
    own, head = bank.of(rows), copy.deepcopy(model.network.head).cpu()
    found = predict_rows(head, model.task, Chosen(own.pooled().final, own.positions(rows)))
    asked = ask(inputs[:_ASKED])
    agree = np.allclose(found[: len(asked)], asked, rtol=_AGREED, atol=_AGREED)
    return found if agree else ask(inputs)


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
            thumbnail=thumbnail(dataset, int(rows[i])),
            excerpt=excerpt(dataset, int(rows[i])),
        )
        for i in worst
    )


def _samples(model: Model, dataset: Dataset, rows: NDArray[np.int64], watcher: Watcher) -> tuple[Sample, ...]:
    """What the pretrained and the trained model write after the first test prompts."""
    base = Model(
        model.backbone,
        Network(model.backbone.module, NoHead()),
        model.task,
        "unchanged",
        len(model.backbone.blocks),
    )
    samples: list[Sample] = []
    for row in rows:
        watcher.on_work("writing samples", len(samples), min(_SAMPLES, len(rows)))
        prompt, expected = split_prompt(dataset.inputs[int(row)])
        try:
            before, after = (each.generate([prompt])[0] for each in (base, model))
        except DataError:  # an empty prompt, or one that leaves no room to write
            continue
        samples.append(
            Sample(
                name=dataset.names[int(row)],
                prompt=prompt_text(prompt)[-_PROMPT:],
                expected=expected[:_EXCERPT],
                before=before,
                after=after,
            )
        )
        if len(samples) == _SAMPLES:
            break
    return tuple(samples)
