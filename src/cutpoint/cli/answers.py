"""A model's answers about what the user named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.cli.asked import Asked
from cutpoint.cli.screen import on_one_line
from cutpoint.errors import DataError
from cutpoint.model import Model, decide
from cutpoint.types import Task

_AT_ONCE = 256
"""Inputs predicted together: several batches, so that one is read while another is computed."""
_WITH_PROBABILITIES = ("binary", "multiclass", "multilabel")


@dataclass(frozen=True)
class Answer:
    """What the model says of one input, or why it could not be read.

    Attributes:
        name: The input as the user would call it.
        task: What the prediction means.
        prediction: A label, a list of labels or tags, a value, or what a language model writes on.
        scores: (outputs,) probabilities or the value; None where the task has none, or the input was not read.
        with_probabilities: Whether all probabilities are shown.
        error: Why it could not be read.
    """

    name: str
    task: Task
    prediction: Any = None
    scores: NDArray[np.float32] | None = None
    with_probabilities: bool = False
    error: str = ""

    def words(self) -> list[str]:
        """Cells after the name: the prediction, its probability, or all of them."""
        if self.task.kind == "regression":
            return [f"{self.prediction:.6g}"]
        if self.task.kind == "language":
            return [on_one_line(self.prediction)]
        if self.task.kind == "tagging":
            return [" ".join(self.prediction)]
        assert self.scores is not None
        label = self.prediction if isinstance(self.prediction, str) else ", ".join(self.prediction) or "–"
        if self.with_probabilities:
            pairs = zip(self.task.labels, self.scores, strict=True)
            return [label, *(f"{name}={probability:.4f}" for name, probability in pairs)]
        return [label, f"{self.scores.max():.4f}"] if self.task.is_classification else [label]

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        if self.error:
            return {"input": self.name, "error": self.error}
        key = {"regression": "value", "multilabel": "labels", "tagging": "tags", "language": "text"}
        facts: dict[str, Any] = {"input": self.name, key.get(self.task.kind, "label"): self.prediction}
        if self.scores is None or self.task.kind not in _WITH_PROBABILITIES:
            return facts
        if self.task.is_classification:
            facts["probability"] = round(float(self.scores.max()), 6)
        if self.with_probabilities:
            pairs = zip(self.task.labels, self.scores, strict=True)
            facts["probabilities"] = {name: round(float(probability), 6) for name, probability in pairs}
        return facts


class Answers:
    """Iterates over the answers in the order of the inputs, a few hundred at a time.

    Args:
        model: Who answers.
        asked: What about.
        with_probabilities: Whether every class's probability is wanted.

    Raises:
        DataError: Probabilities are wanted of a model that has none.
    """

    def __init__(self, model: Model, asked: Asked, *, with_probabilities: bool) -> None:
        if with_probabilities and model.task.kind not in _WITH_PROBABILITIES:
            raise DataError(
                f"the model is for {model.task.kind}, which has no class probabilities.", "Leave --proba out."
            )
        self._model = model
        self._asked = asked
        self._with_probabilities = with_probabilities

    def __len__(self) -> int:
        return len(self._asked.inputs)

    def __iter__(self) -> Iterator[Answer]:
        # What a language model writes takes a while: each is shown when it is there.
        at_once = 1 if self._model.task.kind == "language" else _AT_ONCE
        for start in range(0, len(self), at_once):
            yield from self._answer_some(range(start, min(start + at_once, len(self))))

    def _answer_some(self, numbers: Sequence[int]) -> Iterator[Answer]:
        """Answers about the inputs of these numbers; where one cannot be read, each is tried before."""
        faults = {number: self._asked.faults[number] for number in numbers if number in self._asked.faults}
        try:
            answers = iter(self._predict([number for number in numbers if number not in faults]))
        except DataError:
            faults |= {
                number: fault for number in numbers if (fault := faults.get(number) or self._fault(number))
            }
            answers = iter(self._predict([number for number in numbers if number not in faults]))
        for number in numbers:
            name = self._asked.names[number]
            yield Answer(name, self._model.task, error=faults[number]) if number in faults else next(answers)

    def _predict(self, numbers: Sequence[int]) -> list[Answer]:
        task, inputs = self._model.task, [self._asked.inputs[number] for number in numbers]
        names = [self._asked.names[number] for number in numbers]
        if not inputs:
            return []
        if task.kind == "language":
            written = self._model.generate(inputs)
            return [Answer(name, task, text) for name, text in zip(names, written, strict=True)]
        scores = self._model.predict_scores(inputs)
        decisions = decide(task, scores)
        return [
            Answer(name, task, decision, row, self._with_probabilities)
            for name, decision, row in zip(names, decisions, scores, strict=True)
        ]

    def _fault(self, number: int) -> str:
        """Why an input cannot be read; empty where it can."""
        try:
            if self._model.task.kind == "language":
                self._model.generate([self._asked.inputs[number]], most_tokens=0)
            else:
                self._model.backbone.inputs.prepare(self._asked.inputs[number])
        except DataError as error:
            name = self._asked.names[number]
            return error.message if name in error.message else f"{name}: {error.message}"
        return ""
