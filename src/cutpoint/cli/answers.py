"""A model's answers about what the user named: files, folders, or the rows of a table of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.data.folder import images_in
from cutpoint.data.images import open_image
from cutpoint.data.table import TABLE_SUFFIXES, read_numbers
from cutpoint.errors import DataError
from cutpoint.model import Model, decide
from cutpoint.types import Task

_AT_ONCE = 256
"""Inputs predicted together: several batches, so that one is read while another is computed."""


@dataclass(frozen=True)
class Answer:
    """What the model says of one input, or why it could not be read.

    Attributes:
        name: The input as the user would call it.
        task: What the scores mean.
        prediction: A label, a list of labels, or a value.
        scores: (outputs,) probabilities or the value; None where the input could not be read.
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
        assert self.scores is not None
        if self.task.kind == "regression":
            return [f"{self.prediction:.6g}"]
        label = self.prediction if isinstance(self.prediction, str) else ", ".join(self.prediction) or "–"
        if self.with_probabilities:
            pairs = zip(self.task.labels, self.scores, strict=True)
            return [label, *(f"{name}={probability:.4f}" for name, probability in pairs)]
        return [label, f"{self.scores.max():.4f}"] if self.task.is_classification else [label]

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        if self.scores is None:
            return {"input": self.name, "error": self.error}
        if self.task.kind == "regression":
            return {"input": self.name, "value": self.prediction}
        key = "labels" if self.task.kind == "multilabel" else "label"
        facts: dict[str, Any] = {"input": self.name, key: self.prediction}
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
        paths: What the user named.
        with_probabilities: Whether every class's probability is wanted.

    Raises:
        DataError: A folder without images, probabilities of a model of values, or a table that does not fit.
    """

    def __init__(self, model: Model, paths: Sequence[str], *, with_probabilities: bool) -> None:
        if with_probabilities and model.task.kind == "regression":
            raise DataError("the model predicts values, which have no probabilities.", "Leave --proba out.")
        self._model = model
        self._with_probabilities = with_probabilities
        self._names: list[str]
        self._inputs: Sequence[Any] | NDArray[np.float32]
        if model.backbone.preprocessing.kind == "vector":
            self._names, self._inputs = _rows(paths, model.backbone.width)
        else:
            self._names = self._inputs = _images(paths)

    def __len__(self) -> int:
        return len(self._inputs)

    def __iter__(self) -> Iterator[Answer]:
        for start in range(0, len(self), _AT_ONCE):
            names = self._names[start : start + _AT_ONCE]
            yield from self._answer(names, self._inputs[start : start + _AT_ONCE])

    def _answer(self, names: Sequence[str], inputs: Sequence[Any] | NDArray[np.float32]) -> list[Answer]:
        task = self._model.task
        try:
            scores = self._model.predict_scores(list(inputs))
        except DataError:
            return self._answer_readable(names, inputs)
        decisions = decide(task, scores)
        return [
            Answer(name, task, decision, row, self._with_probabilities)
            for name, decision, row in zip(names, decisions, scores, strict=True)
        ]

    def _answer_readable(
        self, names: Sequence[str], inputs: Sequence[Any] | NDArray[np.float32]
    ) -> list[Answer]:
        """The same where at least one input cannot be read: each is tried first."""
        problems = [_problem(source) for source in inputs]
        good = [number for number, problem in enumerate(problems) if not problem]
        answers = self._answer([names[i] for i in good], [inputs[i] for i in good]) if good else []
        told = iter(answers)
        return [
            Answer(name, self._model.task, error=problem) if problem else next(told)
            for name, problem in zip(names, problems, strict=True)
        ]


def _problem(source: Any) -> str:
    """Why an image cannot be read; empty where it can."""
    try:
        open_image(source)
    except DataError as error:
        return error.message
    return ""


def _images(paths: Sequence[str]) -> list[str]:
    """Files as named, folders with all images below them in natural order."""
    found: list[str] = []
    for path in paths:
        if not Path(path).is_dir():
            found.append(path)
            continue
        below = [str(image) for image in images_in(Path(path))]
        if not below:
            raise DataError(f"the folder {path} holds no images.", "Name images, or folders that hold some.")
        found += below
    return found


def _rows(paths: Sequence[str], width: int) -> tuple[list[str], NDArray[np.float32]]:
    """Names and values of all rows of the tables."""
    names, tables = [], []
    for path in paths:
        if Path(path).suffix.lower() not in TABLE_SUFFIXES or not Path(path).is_file():
            raise DataError(
                f"{path} is no table, and this model answers about rows of {width:,} numbers.",
                "Give a CSV, TSV, Parquet or JSONL file with one column a feature.",
            )
        values = read_numbers(Path(path))
        if values.shape[1] != width:
            raise DataError(
                f"{path} has {values.shape[1]:,} columns; the model takes {width:,}.",
                "Keep only the columns of features that the model was trained on, in their order.",
            )
        names += [f"{path} row {number}" for number in range(1, len(values) + 1)]
        tables.append(values)
    return names, np.concatenate(tables)
