"""The demo: the embedded network adapted to handwritten digits, which it has never seen, from a few labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutpoint import api
from cutpoint.backbones.table import GLYPHS
from cutpoint.planning.watcher import Watcher
from cutpoint.reports import format
from cutpoint.types import Result

PER_CLASS = {"train": 5, "val": 15}
"""Labelled scans of each digit: so few to learn from that transfer shows; more to choose by than to learn from, so that
every regime is fitted once instead of five times."""
BUDGET = "2m"
THREADS = 1
"""The network is so small that a second thread gains nothing."""
_SEED = 0
_HALF = 898
"""Rows before this one lend labels, later ones test: choices in the network's pretraining saw the first half only."""


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

    The digits are scikit-learn's bundled scans of 8 × 8 pixels (Alpaydin and Kaynak 1998): a few of the first half to
    learn from and to choose by, the second half to test on.
    """
    digits = folder / "digits"
    write_digits(digits)
    watcher.on_message(
        f"Handwritten digits are in {digits}: {PER_CLASS['train']} of each to learn from, {PER_CLASS['val']} to choose "
        f"the regime by, others to test on. {GLYPHS} was pretrained on printed characters, without digits."
    )
    result = api.fit(
        str(digits),
        backbones=GLYPHS,
        budget=BUDGET,
        out=folder / "run",
        seed=_SEED,
        threads=THREADS,
        watcher=watcher,
    )
    if result.status == "interrupted":
        return Shown(result, "")
    return Shown(result, f"\n{_transfer(result)}\n\n{_predictions(result, digits)}")


def write_digits(folder: Path) -> None:
    """Scikit-learn's digits as pictures FOLDER/train|val|test/DIGIT/NUMBER.png, unless they are there."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    for split, numbers in _splits(labels).items():
        for number in numbers:
            place = folder / split / str(labels[number]) / f"{number:04d}.png"
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                # 0 (paper) … 16 (ink) become 255 … 0.
                grey = np.rint(255 - images[number].reshape(8, 8) * (255 / 16)).astype(np.uint8)
                Image.fromarray(grey).save(place)


def _splits(labels: NDArray[np.int64]) -> dict[str, list[int]]:
    random = np.random.default_rng(_SEED)
    splits: dict[str, list[int]] = {"train": [], "val": [], "test": list(range(_HALF, len(labels)))}
    for digit in np.unique(labels):
        drawn = random.permutation(np.flatnonzero(labels[:_HALF] == digit)).tolist()
        for split, count in PER_CLASS.items():
            splits[split] += drawn[:count]
            drawn = drawn[count:]
    return splits


def _transfer(result: Result) -> str:
    """The best pretrained trial against the same network from random weights, as they were measured."""
    scratch = next(trial for trial in result.trials if trial.regime == "scratch")
    pretrained = [trial for trial in result.trials if trial.backbone == GLYPHS and trial is not scratch]
    best = max(
        (t for t in pretrained if t.validation), key=lambda t: t.validation.value if t.validation else 0
    )
    told = f"{best.id} {format.score(best.validation)} [{format.interval(best.validation)}]"
    if scratch.validation is None:
        return f"Transfer: {told}. From scratch did not run: {scratch.reason}."
    against = f"{format.score(scratch.validation)} [{format.interval(scratch.validation)}]"
    return f"Transfer against from scratch, on the validation digits: {told}, from scratch {against}."


def _predictions(result: Result, digits: Path) -> str:
    """The first test digit of each class beside what the winning model says."""
    paths = [sorted((digits / "test" / label).iterdir())[0] for label in result.task.labels]
    model = api.load(result.best)
    probabilities = model.predict_proba([str(path) for path in paths])
    lines = ["A few test digits, as the model that ships reads them:"]
    for path, row in zip(paths, probabilities, strict=True):
        best = int(row.argmax())
        told, truth = model.labels[best], path.parent.name
        note = "" if told == truth else f"   wrong: it is {truth}"
        lines.append(f"  {path}   {told}   {100 * row[best]:.0f} %{note}")
    return "\n".join(lines)
