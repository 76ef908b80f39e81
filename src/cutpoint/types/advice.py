"""What is known before the first trial: circumstances, limits, axes, and the advice made of them."""

from __future__ import annotations

from typing import Literal

from cutpoint.types.data import Modality, TaskKind
from cutpoint.types.evidence import Finding
from cutpoint.types.record import Record
from cutpoint.types.trials import Cost, Score, Trial

Upkeep = Literal["never", "yearly", "monthly", "weekly", "daily"]


class Circumstances(Record):
    """What the user says of the project; it flips rules."""

    unlabelled: str | None = None
    """More examples of the target without labels: what the user named."""
    other_task: str | None = None
    """A related labelled set: what the user named."""
    tasks: int = 1
    retrain: Upkeep = "never"
    wrong_costs: Literal["nothing special", "revenue", "trust"] = "nothing special"
    """What an error costs."""


class Limits(Record):
    """What a model must keep to be shipped at all: outranks accuracy."""

    max_latency_ms: float | None = None
    max_memory_bytes: int | None = None
    """Peak while training."""
    max_stored_bytes: int | None = None
    """For each further task over the same backbone."""
    local_only: bool = False
    """Only backbones that lie on this machine."""
    known_provenance: bool = False
    """Only backbones whose licence and training data are known."""


class Axes(Record):
    """The four axes on which the choice of a regime turns, measured."""

    modality: Modality
    kind: TaskKind
    rows: int
    """Training examples."""
    classes: int
    per_class: float | None = None
    """Median of training examples a class."""
    smallest_class: int | None = None
    imbalance: float | None = None
    """Largest class over smallest."""
    backbone: str
    parameters: int
    probe: float | None = None
    """Score of a frozen probe, cross-validated."""
    chance: float | None = None
    """Score of the best constant answer."""
    random_init: float | None = None
    """Score of the same probe on the same architecture with random weights."""
    best_depth: float | None = None
    """Share of the stack at whose output the every-layer probe is best."""
    distance: float | None = None
    """Between the backbone's source and the target: 0 where frozen features solve the task, 1 where they say no more
    than chance; in between the more, the less they add to random weights."""
    to_source: dict[str, float] = {}
    """Further distances to the backbone's source by name, where statistics are at hand."""
    budget_seconds: float
    predicted: dict[str, Cost] = {}
    """Trial → predicted cost on this machine."""
    circumstances: Circumstances = Circumstances()


class RuleOutcome(Record):
    """What one of the field's rule sets says."""

    rule_set: str
    title: str
    source: str
    fired: str | None
    """The rule's condition in words; None where none of the set applies."""
    regimes: tuple[str, ...] = ()
    """Rows of the regimes' table that it recommends, the first preferred."""
    advice: str = ""
    """In the authors' words."""


class Step(Record):
    """A node of the decision tree."""

    question: str
    answer: str
    options: tuple[str, ...]
    """All answers; the path goes through `answer`."""


class CheckItem(Record):
    """A line of the checklist before take-off."""

    text: str
    state: Literal["done", "open", "warning"]
    detail: str = ""


class LabelsPoint(Record):
    """Scores with a share of the labels."""

    share: float
    rows: int
    transfer: Score
    """Of the probe on the pretrained backbone."""
    without: Score | None = None
    """Of the same without transfer: hand-made features, or the same architecture from random weights."""


class LabelsCurve(Record):
    """What labels buy, with transfer and without."""

    points: tuple[LabelsPoint, ...]
    multiple: float | None = None
    """So many times the labels are needed without transfer to reach what transfer reaches with the least share; a
    lower bound where `multiple_is_bound`."""
    multiple_is_bound: bool = False
    at_twice: Score | None = None
    """Extrapolated score with twice the labels; the interval is for the fitted curve and for which rows judge."""
    sentence: str


class Advice(Record):
    """What the measured axes and the field's rules say before anything but heads is trained."""

    axes: Axes
    rules: tuple[RuleOutcome, ...]
    agreement: str
    """Where the rule sets agree and where they do not, in a sentence."""
    measured: str
    """What the measurement says, in a sentence."""
    band: str
    """The band of data that the user is in, in a sentence."""
    transfer_kind: str
    """The kind of transfer by name, and why."""
    path: tuple[Step, ...]
    """Through the decision tree."""
    recommended: str
    """Row of the regimes' table where the path ends."""
    excluded: tuple[Trial, ...] = ()
    """Trials that a limit rules out, each with the reason."""
    checklist: tuple[CheckItem, ...] = ()
    labels: LabelsCurve | None = None
    upkeep: tuple[str, ...] = ()
    """What storage and retraining cost over the horizon, a sentence a regime."""
    findings: tuple[Finding, ...] = ()
