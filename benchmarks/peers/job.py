"""What a contender is asked and what it answers: one JSON in, one JSON out, in a process of its own.

Only the standard library and psutil, so that every environment can import it.
"""

from __future__ import annotations

import csv
import importlib.metadata
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

Answers = Sequence[int]
"""Class number of every test row, in the order of the list."""


@dataclass(frozen=True)
class Job:
    """One run of one contender.

    Attributes:
        work: What is to be done, as the tables call it.
        contender: Who does it.
        modality: "image" or "text".
        regime: "probe", "partial", "full", "lora", "setfit" or "race".
        rows: A CSV with the columns input, label and split (train, perhaps val, test); the same for all contenders.
        weights: Folder of the pretrained backbone.
        epochs: Passes over the training rows.
        judged_epochs: After which of them the test rows are answered; the clock stands meanwhile.
        scratch: A folder that the contender may write to.
        batch_size: Examples a step.
        image_size: Pixels a side.
        max_length: Tokens at which texts are cut off.
        rate: Learning rate.
        seed: Decides initialisation and order.
        threads: For arithmetic.
        options: What concerns one contender alone.
    """

    work: str
    contender: str
    modality: str
    regime: str
    rows: str
    weights: str
    epochs: int
    judged_epochs: tuple[int, ...]
    scratch: str
    batch_size: int = 32
    image_size: int = 224
    max_length: int = 128
    rate: float = 1e-3
    seed: int = 0
    threads: int = 2
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Job:
        """As `write` left it."""
        found = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**found, "judged_epochs": tuple(found["judged_epochs"])})

    def write(self, file: Path) -> None:
        """As JSON."""
        file.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    def inputs_of(self, split: str) -> list[str]:
        """Paths or texts of a split."""
        return [row["input"] for row in self._rows() if row["split"] == split]

    def targets_of(self, split: str) -> list[int]:
        """Class numbers of a split: places in `labels`."""
        return self.numbers_of(row["label"] for row in self._rows() if row["split"] == split)

    def numbers_of(self, labels: Iterable[str]) -> list[int]:
        """Class numbers of labels by name."""
        places = {label: place for place, label in enumerate(self.labels)}
        return [places[label] for label in labels]

    @property
    def labels(self) -> list[str]:
        """All classes in order."""
        return sorted({row["label"] for row in self._rows()})

    def _rows(self) -> list[dict[str, str]]:
        with Path(self.rows).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


class Track:
    """The clock of one contender, and what stood on it at which moment.

    It starts when the libraries are imported and stands while answers to the test rows are collected.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.truth = job.targets_of("test")
        self.points: list[dict[str, float]] = []
        self.seconds: dict[str, float] = {}
        self.measures: dict[str, float] = {}
        self.right = ""
        self._started = time.perf_counter()
        self._paused = 0.0
        self._training: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the start, without pauses."""
        return time.perf_counter() - self._started - self._paused

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The clock stands inside the block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._paused += time.perf_counter() - began

    def training_starts(self) -> None:
        """What came before was preparation."""
        self._training = self.elapsed

    def epoch_ends(self, epoch: int, answer: Callable[[], Answers]) -> None:
        """Note the time; after a judged epoch and the last one, answer the test rows as well.

        Args:
            epoch: Counts from 1.
            answer: Gives the answers to the test rows.
        """
        now, is_last = self.elapsed, epoch == self.job.epochs
        if epoch == 1:
            self.seconds["first_model"] = now
        if is_last:
            self.seconds["model"] = now
            if self._training is not None:
                self.seconds["training"] = now - self._training
        if is_last or epoch in self.job.judged_epochs:
            with self.paused():
                self.score(now, answer())

    def score(self, seconds: float, answers: Answers) -> None:
        """Note what share of the test rows a model answers right.

        Args:
            seconds: When the model stood.
            answers: Its answers.
        """
        is_right = [int(int(given) == true) for given, true in zip(answers, self.truth, strict=True)]
        self.right = "".join(map(str, is_right))
        self.points.append({"seconds": seconds, "accuracy": sum(is_right) / len(is_right)})


def contend(run: Callable[[Job, Track], None], libraries: Sequence[str]) -> None:
    """What every contender's script does: read the job, run, write the record.

    Args:
        run: Does the work. Called when all imports are done.
        libraries: Distributions whose versions are of interest.
    """
    job = Job.read(Path(sys.argv[1]))
    imported = time.time() - psutil.Process().create_time()
    track = Track(job)
    run(job, track)
    if track.points:
        track.seconds.setdefault("model", track.points[-1]["seconds"])
    record = {
        "seconds": {"import": imported, **track.seconds},
        "points": track.points,
        "accuracy": track.points[-1]["accuracy"] if track.points else None,
        "right": track.right,
        "measures": track.measures,
        "rows": {split: len(job.targets_of(split)) for split in ("train", "val", "test")},
        "peak_bytes": _peak(resource.RUSAGE_SELF),
        "largest_worker_bytes": _peak(resource.RUSAGE_CHILDREN),
        "versions": {"python": platform.python_version(), **_versions(libraries)},
        "job": asdict(job),
    }
    Path(sys.argv[2]).write_text(json.dumps(record, indent=1), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # some libraries leave threads behind that would be waited for


def _peak(whose: int) -> int:
    return resource.getrusage(whose).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _versions(names: Sequence[str]) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in names}
