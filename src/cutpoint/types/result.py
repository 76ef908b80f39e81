"""The answer: everything that a race found."""

from __future__ import annotations

from typing import Any, Literal

from cutpoint.types.advice import Advice
from cutpoint.types.data import Modality, Quarantined, Task
from cutpoint.types.evidence import Audit, Finding
from cutpoint.types.preprocessing import BackboneReference, Provenance
from cutpoint.types.record import Record
from cutpoint.types.trials import Comparison, LayerProbe, Score, Screened, Trial


class Verdict(Record):
    """What to ship and why, in words."""

    text: str
    ship: str
    dearer: str
    flip: str
    findings: tuple[Finding, ...] = ()


class DataSummary(Record):
    """Counts that the result and the report show."""

    source: str
    modality: Modality
    rows: dict[str, int]
    """Examples in each split."""
    class_counts: dict[str, dict[str, int]] = {}
    """Split → class → examples."""
    hash: str
    quarantined: tuple[Quarantined, ...] = ()
    notes: tuple[str, ...] = ()


class Mistake(Record):
    """A confident error on the test split, for the report."""

    name: str
    truth: str
    predicted: str
    confidence: float
    thumbnail: str | None = None
    """A data URI (JPEG), where the input is an image."""
    excerpt: str | None = None
    """The beginning of the text, where the input is one."""


class Sample(Record):
    """What a language model writes after a prompt that it was not trained on."""

    name: str
    prompt: str
    expected: str
    before: str
    """Written by the pretrained model."""
    after: str
    """Written by the model that ships."""


class ConfusionMatrix(Record):
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """counts[truth][predicted], test split."""


class Result(Record):
    """Everything that a race found. Written to RUN/result.json; the report is made from it alone."""

    schema_version: int = 1
    status: Literal["finished", "interrupted"]
    task: Task
    data: DataSummary
    backbones: dict[str, BackboneReference] = {}
    provenance: dict[str, Provenance] = {}
    judged_on: str = ""
    """How validation was done, in words."""
    trials: tuple[Trial, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    layer_probe: dict[str, tuple[LayerProbe, ...]] = {}
    """Backbone name → one row a block."""
    winner: str | None = None
    """Id of the trial that ships."""
    screening: tuple[Screened, ...] = ()
    """Short runs that decided which trials ran to the end, in the order in which they ran."""
    looks: int = 0
    """Trials whose validation score was looked at before the choice; 0 where it was not counted."""
    optimism: float | None = None
    """Expected excess of the winner's validation score over its true one, in units of the metric, from being the best
    of `looks` noisy scores; None where it was not estimated."""
    test: Score | None = None
    confusion: ConfusionMatrix | None = None
    mistakes: tuple[Mistake, ...] = ()
    samples: tuple[Sample, ...] = ()
    verdict: Verdict | None = None
    audit: Audit | None = None
    advice: Advice | None = None
    seconds: float = 0.0
    settings: dict[str, Any] = {}
    """Budget, minimum gain, folds, threads and other choices fixed before the first trial."""
    versions: dict[str, str] = {}
    seed: int = 0
    run: str = ""
    """The run folder as the user gave it."""

    @property
    def best(self) -> str:
        """The folder of the model that ships."""
        return f"{self.run}/model"

    def trial(self, trial_id: str) -> Trial:
        """The trial of that id (KeyError where there is none)."""
        for trial in self.trials:
            if trial.id == trial_id:
                return trial
        raise KeyError(trial_id)
