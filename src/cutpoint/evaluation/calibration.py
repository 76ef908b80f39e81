"""Do the probabilities mean what they say?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.errors import DataError
from cutpoint.types import Finding, Task

Array = NDArray[Any]

_BINS = 15
_WITHOUT_PROBABILITIES = {"regression": "values", "tagging": "tags", "language": "texts"}
OVERCONFIDENT = 0.1
"""Ten points more confidence than accuracy: a threshold set on such probabilities lets too much through."""


@dataclass(frozen=True)
class Calibration:
    """How confidence and accuracy agree.

    Attributes:
        error: Expected calibration error: mean distance of confidence and accuracy, 0…1.
        confidence: Mean probability of the predicted class (of the predicted side of each label).
        accuracy: Share of these predictions that are right.
    """

    error: float
    confidence: float
    accuracy: float


def calibrate(task: Task, targets: Array, predictions: Array) -> Calibration:
    """Expected calibration error over 15 bins of equal width (Naeini et al. 2015; Guo et al. 2017).

    Args:
        task: Not regression; nor tagging and language, of which tags and likelihoods are kept, and no
            probabilities.
        targets: As in `Dataset.targets`, N rows.
        predictions: (N, outputs) probabilities.

    Raises:
        DataError: A task whose predictions are no probabilities.
    """
    if task.kind in _WITHOUT_PROBABILITIES:
        raise DataError(
            f"A {task.kind} task predicts {_WITHOUT_PROBABILITIES[task.kind]}, not probabilities: there is nothing "
            "to calibrate.",
            "Ask for the calibration of a classification or multi-label task.",
        )
    if task.kind == "multilabel":
        confidence = np.maximum(predictions, 1 - predictions).ravel()
        right = ((predictions >= 0.5) == (targets >= 0.5)).ravel()
    else:
        confidence = predictions.max(axis=1)
        right = predictions.argmax(axis=1) == targets
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    surplus = np.bincount(bins, weights=confidence.astype(np.float64) - right, minlength=_BINS)
    return Calibration(
        error=float(np.abs(surplus).sum() / len(confidence)),
        confidence=float(confidence.mean(dtype=np.float64)),
        accuracy=float(right.mean()),
    )


def overconfidence(calibration: Calibration) -> Finding | None:
    """A warning where confidence is far above accuracy."""
    if calibration.confidence - calibration.accuracy < OVERCONFIDENT:
        return None
    return Finding(
        code="overconfident",
        severity="warning",
        text="The probabilities promise more than they hold: do not set thresholds on them as they are.",
        evidence=f"mean confidence {100 * calibration.confidence:.1f} %, "
        f"accuracy {100 * calibration.accuracy:.1f} %, expected calibration error {100 * calibration.error:.1f} %",
        remedy="Stop earlier, use label smoothing or more regularisation, or choose thresholds on new data.",
    )
