"""The records that pass between rooms. Read this file first.

Records that are written to disk are pydantic models (frozen, closed: an unknown key is an error); those that
hold arrays are frozen dataclasses. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Modality = Literal["image", "text", "features", "signal"]
WITHOUT_BACKBONE: tuple[Modality, ...] = ("features", "signal")
"""Data that no pretrained network here fits: what is raced is trained from scratch."""
TaskKind = Literal["binary", "multiclass", "multilabel", "regression", "tagging", "language"]
"""One label an example · labels that are not exclusive · a value · a tag for each word (token classification) ·
the next token (causal language modelling)."""
Severity = Literal["info", "warning", "error"]
TrialStatus = Literal["finished", "skipped", "priced", "eliminated", "failed", "interrupted"]


class Record(BaseModel):
    """Base of every record that is written as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


# ---------------------------------------------------------------------------------------------- the question


class Task(Record):
    """What is predicted.

    `labels` holds the class names (tags) in the order of the score columns; empty for regression and language
    modelling. `metric` names a row of `cutpoint.evaluation.metrics`.
    """

    kind: TaskKind
    labels: tuple[str, ...] = ()
    metric: str = "accuracy"

    @property
    def outputs(self) -> int:
        """Width of the head: one column a class (two for binary), one for regression, none where the backbone
        brings its own (language modelling)."""
        return 1 if self.kind == "regression" else len(self.labels)

    @property
    def is_classification(self) -> bool:
        """One label an example."""
        return self.kind in ("binary", "multiclass")

    @property
    def for_heads(self) -> Task:
        """The question that a head answers for one row of features: of a sentence's tags, the tag of one word."""
        if self.kind != "tagging":
            return self
        return Task(kind="multiclass", labels=self.labels, metric="f1_macro")


IGNORED = -100
"""Stands in a row of targets where nothing is to be predicted (as in torch's cross-entropy)."""


class TextPair(NamedTuple):
    """Two texts that are judged together."""

    first: str
    second: str


class Words(tuple[str, ...]):
    """The words of a sentence, each of which gets a tag."""


class Message(NamedTuple):
    """One turn of a chat; the role is "system", "user", "assistant" or "tool"."""

    role: str
    content: str


class Chat(tuple[Message, ...]):
    """A conversation; the assistant's turns are what is learned."""


class Completion(NamedTuple):
    """A prompt and the text that is to follow it, without a chat template."""

    prompt: str
    completion: str


class Quarantined(Record):
    """An input that was set aside, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """Labelled examples with named splits.

    Attributes:
        source: Where the data came from, as the user named it.
        inputs: N inputs. Images: file paths (str), PIL images or uint8 arrays (H, W, 3). Text: str, `TextPair`,
            `Words`, `Chat` or `Completion`. Features: rows of a 2-D float array. Signals: paths of sounds, or arrays
            (values,) or (channels, values).
        targets: int64 (N,) class numbers | float32 (N, labels) of 0 and 1 | float32 (N,) values | int64
            (N, longest) tag numbers, `IGNORED` behind the last word | for language modelling int64 (N,) zeros:
            there the inputs hold what is to be predicted.
        splits: Row numbers (int64) under "train", perhaps "val", and "test". No row stands in two.
        keys: Content hash of each input: what the activation cache is keyed by.
        names: How each input is called in messages and reports (a relative path, or "row 12").
        groups: A group name for each row, or None; a group never stands on two sides of a split.
        test_origin: "given" by the user, or "held out" by us.
        validation_origin: The same of "val", where there is one.
        columns: Of a raw table: how its columns became the rows of numbers.
        signals: Of sounds and series: how they become rows of numbers.
        given_targets: `targets` before the user's corrections; None where nothing was corrected.
    """

    source: str
    modality: Modality
    task: Task
    inputs: Sequence[Any] | NDArray[Any]
    targets: NDArray[Any]
    splits: Mapping[str, NDArray[np.int64]]
    keys: tuple[str, ...]
    names: tuple[str, ...]
    groups: NDArray[Any] | None = None
    quarantined: tuple[Quarantined, ...] = ()
    test_origin: Literal["given", "held out"] = "given"
    validation_origin: Literal["given", "held out"] = "given"
    notes: tuple[str, ...] = field(default=())
    columns: tuple[TableColumn, ...] = ()
    signals: SignalPreprocessing | None = None
    given_targets: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def groups_of(self, rows: NDArray[np.int64]) -> NDArray[Any] | None:
        """(rows,) the groups of some rows, where there are groups."""
        return None if self.groups is None else self.groups[rows]

    def split_names(self) -> NDArray[np.str_]:
        """(N,) the split that each row stands in; "" where it stands in none."""
        names = np.full(len(self), "", dtype="<U5")
        for name, rows in self.splits.items():
            names[rows] = name
        return names


# ---------------------------------------------------------------------------------------------- preprocessing


class ImagePreprocessing(Record):
    """How an image file becomes the backbone's input; it travels with the model everywhere.

    Sizes are pixels (height, width). The image is resized (bicubic and so on, in Pillow), cropped in the
    centre to `size`, scaled to 0…1 and normalised per channel.
    """

    kind: Literal["image"] = "image"
    size: tuple[int, int]
    resize: tuple[int, int] | int
    """An int resizes the short side and keeps the aspect; a pair resizes to exactly that."""
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] = "bicubic"
    crop_rounding: Literal["nearest even", "down"] = "nearest even"
    """How half a pixel of margin is rounded when the crop is centred: libraries differ."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    made_by: str
    """Whose pipeline this reproduces, such as "timm" or "transformers.ViTImageProcessor (PIL)"."""

    @property
    def channels(self) -> int:
        return len(self.mean)


class TableColumn(Record):
    """How a column of a raw table becomes numbers; medians and categories are those of the training rows."""

    name: str
    kind: Literal["number", "category"]
    filling: float = 0.0
    """Of a column of numbers: stands where a cell is blank."""
    has_blanks: bool = False
    """Of a column of numbers: whether one of 0 and 1 beside it says where cells are blank."""
    categories: tuple[str, ...] = ()
    """Values that have a column of 0 and 1 each; a blank or another value has none."""

    @property
    def width(self) -> int:
        """Numbers that it becomes."""
        return len(self.categories) if self.kind == "category" else 1 + self.has_blanks


class VectorPreprocessing(Record):
    """Inputs that become a vector: hand-made statistics of an image, a row of numbers as given, or of a raw table."""

    kind: Literal["statistics", "vector"]
    width: int
    columns: tuple[TableColumn, ...] = ()
    """Of a raw table, in order; empty where rows are taken as they are."""
    made_by: str = "cutpoint"


class SignalPreprocessing(Record):
    """Sounds or time series that become a row of hand-made numbers."""

    kind: Literal["signal"] = "signal"
    rate: int | None
    """Of sounds: samples a second, half of which is the highest frequency that is looked at; None: series in memory."""
    channels: int = 1
    width: int
    made_by: str = "cutpoint"


Readout = Literal["pooled", "words", "language"]
"""What a backbone's module puts out: a row an example (B, width) · a row a word (B, words, width) · the logits of the
next token (B, tokens, vocabulary)."""


class TextPreprocessing(Record):
    """How a text becomes token numbers; the tokenizer itself lies in the backbone's folder."""

    kind: Literal["text"] = "text"
    readout: Readout = "pooled"
    max_length: int
    """Tokens; what is longer is cut off at the end, and counted."""
    pooling: Literal["mean", "first", "last", "none"]
    """How token states become a row: their mean, the first (class) token's, or the last one's."""
    normalised: bool = False
    """Whether the row is scaled to length 1, as some sentence encoders do."""
    template: Literal["none", "tokenizer", "fallback"] = "none"
    """Whose chat template: the tokenizer's, or ours where it has none."""
    tokenizer_digest: str
    """xxh3-128 over the tokenizer's files: a model refuses another tokenizer."""
    made_by: str
    """Such as "transformers.BertTokenizer"."""


class TfidfPreprocessing(Record):
    """Inputs become TF-IDF weights of the terms that were counted in the training texts."""

    kind: Literal["tfidf"] = "tfidf"
    terms: tuple[str, ...]
    weights: tuple[float, ...]
    """Inverse document frequency of each term."""
    made_by: str = "scikit-learn"

    @property
    def width(self) -> int:
        return len(self.terms)


Preprocessing = Annotated[
    ImagePreprocessing | VectorPreprocessing | SignalPreprocessing | TextPreprocessing | TfidfPreprocessing,
    Field(discriminator="kind"),
]


class ImageRange(Record):
    """One figure of a picture over the training pictures."""

    mean: float
    deviation: float


class SeenImages(Record):
    """What the prepared training pictures look like, so that prediction notices inputs of another make.

    Of each picture: brightness (mean of its pixels), contrast (their standard deviation) and colour (mean distance
    between a pixel's least and greatest channel), in 0…255.
    """

    brightness: ImageRange
    contrast: ImageRange
    colour: ImageRange
    grey: float
    """Share of pictures without colour."""
    pictures: int


class Provenance(Record):
    """Where a backbone comes from; None means that it does not say."""

    licence: str | None = None
    trained_on: str | None = None
    source: str | None = None


class BackboneReference(Record):
    """Enough to load a backbone again and to prove that it is the same one."""

    kind: Literal["timm", "transformers", "builtin", "module", "none"]
    name: str
    """What the user typed: a hub name, or "builtin:glyphs"."""
    path: str | None = None
    """A local folder, where there is one."""
    image_size: int | None = None
    """Pixels asked for in place of the backbone's own input size; None keeps that."""
    readout: Readout = "pooled"
    max_length: int | None = None
    """Tokens asked for in place of the backbone's own limit; None keeps that."""
    digest: str
    """xxh3-128 over names, dtypes, shapes and bytes of all parameters and buffers."""


# ---------------------------------------------------------------------------------------------- measurements


class Score(Record):
    """A metric with its 95 % interval over n examples."""

    metric: str
    value: float
    low: float
    high: float
    n: int


class Cost(Record):
    """What a trial costs, measured or predicted; None where it was not measured."""

    seconds: float | None = None
    peak_memory_bytes: int | None = None
    trainable_parameters: int | None = None
    total_parameters: int | None = None
    stored_bytes: int | None = None
    """Bytes stored for each further task over the same backbone."""
    flops: int | None = None
    """Forward floating-point operations for one example (two for each multiply-add)."""
    latency_ms: float | None = None
    """Milliseconds to predict one example at batch size 1."""


class EpochRecord(Record):
    """One epoch of one fit, as the loop reports it."""

    phase: int
    epoch: int
    """Counts through all phases of the fit, from 0."""
    frozen_blocks: int
    steps: int
    rate: float
    train_loss: float
    validation_loss: float | None
    validation_metric: float | None
    seconds: float
    best: bool
    """Whether this epoch's weights are the ones kept so far."""
    first_loss: float | None = None
    """Of the epoch's first batch; None where the head was solved."""
    worst_loss: float | None = None
    """The highest of any batch."""


class LayerProbe(Record):
    """How much a linear head gets from one block's pooled output."""

    index: int
    """Number of blocks up to and including this one; a cut at k freezes blocks 1…k."""
    block: str
    width: int
    score: float
    logme: float | None = None
    h_score: float | None = None


class Exhibit(Record):
    """One example that a finding points at."""

    name: str
    """As in `Dataset.names`."""
    note: str = ""
    """What is to be seen in it, such as "test, longsleeve" or "same pixels as train/a.jpg"."""
    thumbnail: str | None = None
    """A data URI (JPEG), where the input is an image."""
    excerpt: str | None = None
    """The beginning of the text, where the input is one."""


class Finding(Record):
    """Something that the user should know, with evidence and a remedy."""

    code: str
    severity: Severity
    text: str
    evidence: str = ""
    remedy: str = ""
    exhibits: tuple[Exhibit, ...] = ()
    """A few examples; how many there are in all stands in `text`."""


class Retention(Record):
    """What an adaptation left of what the backbone could do before, on a reference set that it did not train on."""

    metric: str
    reference: str
    """What was judged, such as "STS-B test" or a file."""
    before: Score
    after: Score
    change: float
    """Positive is better. In units of the metric; for perplexity the share by which it fell."""
    low: float
    high: float
    """The change's 95 % interval: a paired bootstrap over the reference's examples."""
    sentence: str


class Trial(Record):
    """One (backbone, regime, cut, seed) with what it scored and cost, or why it did not run."""

    id: str
    regime: str
    backbone: str
    cut: int | None = None
    """Frozen blocks at the last phase; None for trials without a backbone."""
    cut_name: str | None = None
    seed: int = 0
    status: TrialStatus
    reason: str = ""
    validation: Score | None = None
    cost: Cost = Cost()
    predicted: Cost = Cost()
    recipe: dict[str, Any] = {}
    """Every `auto` value resolved to what was used."""
    uncovered_parameters: tuple[str, ...] = ()
    """Parameters that no block, and so no rate group, holds."""
    curves: tuple[tuple[EpochRecord, ...], ...] = ()
    """One curve for each fit (fold)."""
    findings: tuple[Finding, ...] = ()
    retention: Retention | None = None
    """What is left on a reference set, where one was judged."""
    frozen_digest: str | None = None
    """xxh3-128 over the frozen tensors, buffers included: the same before and after training, or the trial would
    have failed. None where nothing was frozen, or nothing was compared."""
    frozen_tensors: int | None = None
    """How many tensors stand behind `frozen_digest`."""
    moved_tensors: int | None = None
    """Trained tensors whose values differ after training from before."""
    drift: float | None = None
    """How far the features of training inputs moved from the pretrained ones: 1 − linear CKA, 0 not at all … 1 unlike
    (Kornblith et al. 2019); None where no block trained, or there are no features."""
    model: str | None = None
    """Model folder relative to the run folder, where one was saved."""


class Screened(Record):
    """A short run on one rung of successive halving: whether the trial went on, and why."""

    trial: str
    """Id of a trial."""
    rung: int
    """Counts from 0, the shortest."""
    share: float
    """Of the full training, 0…1."""
    score: Score | None
    """After that share; None where the short run failed."""
    expected: float | None
    """Score of the full training, extrapolated from the learning curve; None where there is too little of it."""
    low: float | None
    high: float | None
    """The 95 % interval of `expected`."""
    kept: bool
    reason: str
    seconds: float = 0.0


class Comparison(Record):
    """Paired comparison of a challenger with a leader on the same examples."""

    leader: str
    challenger: str
    gain: float
    low: float
    high: float
    p_positive: float
    """P(gain > 0) from a paired bootstrap."""
    p_worthwhile: float
    """P(gain ≥ the least gain that pays)."""
    decision: Literal["replaces", "kept out", "eliminated"]
    sentence: str


class Verdict(Record):
    """What to ship and why, in words."""

    text: str
    ship: str
    dearer: str
    flip: str
    findings: tuple[Finding, ...] = ()


# ---------------------------------------------------------------------------------------------- the data audit


class LabelIssue(Record):
    """An example whose label is probably wrong: a candidate for review, not a verdict."""

    name: str
    given: str
    suggested: str
    p_given: float
    """Out-of-fold probability of the given label."""
    p_suggested: float


class Audit(Record):
    """What is odd in the data."""

    checked: tuple[str, ...]
    """Codes of the checks that ran."""
    not_checked: dict[str, str] = {}
    """Code of a check → why it did not run."""
    findings: tuple[Finding, ...] = ()
    class_weights: dict[str, float] = {}
    """Class → weight of its examples that makes all classes count alike."""
    label_issues: tuple[LabelIssue, ...] = ()
    """Least likely label first."""
    seconds: float = 0.0

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """What makes a score on the test or validation split untrustworthy: it stops a run."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


# ---------------------------------------------------------------------------------------------- axes and advice

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


# ---------------------------------------------------------------------------------------------- the answer


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
