"""What was run and measured: scores, costs, trials, and how they compare."""

from __future__ import annotations

from typing import Any, Literal

from cutpoint.types.evidence import Finding
from cutpoint.types.record import Record

TrialStatus = Literal["finished", "skipped", "priced", "eliminated", "failed", "interrupted"]


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
