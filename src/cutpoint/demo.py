"""The demo: the embedded network adapted to handwritten digits, which it has never seen, from a few labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutpoint import api
from cutpoint.backbones.table import GLYPHS
from cutpoint.race.watcher import Watcher
from cutpoint.types import Result

PER_CLASS = 20
BUDGET = "2m"
SHOWN = 10
_SEED = 0
_HALF = 898
"""Rows before this one lend labels, the others test: choices in the network's pretraining saw the first half only."""


@dataclass(frozen=True)
class Shown:
    """What the demo has to show.

    Attributes:
        result: Of the race.
        words: Test digits with what the winning model says of them.
    """

    result: Result
    words: str


def run(folder: Path, *, watcher: Watcher) -> Shown:
    """Write the digits into FOLDER/digits, race in FOLDER/run, and predict a few test digits.

    The digits are scikit-learn's bundled scans of 8 × 8 pixels (Alpaydin and Kaynak 1998): 20 a class of the first
    half to learn from, the second half to test on.
    """
    digits = folder / "digits"
    write_digits(digits)
    watcher.on_message(
        f"Scans of handwritten digits are in {digits}: {PER_CLASS} a class to learn from, others to test on. "
        f"The network {GLYPHS} was pretrained on printed characters without digits."
    )
    result = api.fit(
        str(digits), backbones=GLYPHS, budget=BUDGET, out=folder / "run", seed=_SEED, watcher=watcher
    )
    return Shown(result, "" if result.status == "interrupted" else _predictions(result, digits))


def write_digits(folder: Path) -> None:
    """Scikit-learn's digits as pictures FOLDER/train|test/DIGIT/NUMBER.png, unless they are there."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    learn = _rows_to_learn_from(labels)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        if number < _HALF and number not in learn:
            continue
        place = folder / ("train" if number in learn else "test") / str(label) / f"{number:04d}.png"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            # 0 (paper) … 16 (ink) become 255 … 0.
            grey = np.rint(255 - image.reshape(8, 8) * (255 / 16)).astype(np.uint8)
            Image.fromarray(grey).save(place)


def _rows_to_learn_from(labels: NDArray[np.int64]) -> set[int]:
    random, first = np.random.default_rng(_SEED), labels[:_HALF]
    drawn = [random.permutation(np.flatnonzero(first == digit))[:PER_CLASS] for digit in np.unique(first)]
    return {int(row) for rows in drawn for row in rows}


def _predictions(result: Result, digits: Path) -> str:
    """The first test digit of each class beside what the winning model says."""
    paths = [sorted((digits / "test" / label).iterdir())[0] for label in result.task.labels]
    model = api.load(result.best)
    probabilities = model.predict_proba([str(path) for path in paths])
    lines = ["", "A few test digits, as the model that ships reads them:"]
    for path, row in zip(paths, probabilities, strict=True):
        best = int(row.argmax())
        told, truth = model.labels[best], path.parent.name
        note = "" if told == truth else f"   wrong: it is {truth}"
        lines.append(f"  {path}   {told}   {100 * row[best]:.0f} %{note}")
    return "\n".join(lines)
