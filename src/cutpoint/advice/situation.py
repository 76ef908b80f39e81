"""All that the rules, the tree and the checklist look at."""

from __future__ import annotations

from dataclasses import dataclass, field

from cutpoint.advice.limits import excluded_by
from cutpoint.types import Audit, Axes, BackboneReference, Cost, LabelsCurve, Limits, Provenance, Trial


@dataclass(frozen=True)
class Situation:
    """What is known before anything but heads is trained.

    Attributes:
        axes: Measured.
        reference: Of the backbone.
        provenance: Of the backbone.
        metric: What trials are judged by.
        limits: Hard filters.
        priced: Trials that can run, with their predicted cost, cheapest first.
        refused: Trials that cannot run, each with the reason.
        fine_tunes: Names of regimes that train blocks of the pretrained network.
        from_random: Names of regimes that start from random weights.
        has_answers: Whether the examples say what is to be predicted; plain text says only what follows.
        is_own_preprocessing: Whether the backbone's inputs are prepared as they were in pretraining.
        is_test_given: Whether the user gave a test split.
        audit: Of the data, where it was made.
        labels: The labels curve, where it was measured.
    """

    axes: Axes
    reference: BackboneReference
    provenance: Provenance
    metric: str
    limits: Limits = field(default_factory=Limits)
    priced: tuple[Trial, ...] = ()
    refused: tuple[Trial, ...] = ()
    fine_tunes: frozenset[str] = frozenset()
    from_random: frozenset[str] = frozenset()
    has_answers: bool = True
    is_own_preprocessing: bool = True
    is_test_given: bool = True
    audit: Audit | None = None
    labels: LabelsCurve | None = None

    @property
    def excluded(self) -> tuple[Trial, ...]:
        """Priced trials that a limit rules out, with the reason."""
        reasons = {
            trial.id: excluded_by(
                self.limits,
                trial.predicted,
                self.reference,
                self.provenance,
                is_pretrained=trial.regime not in self.from_random,
            )
            for trial in self.priced
            if trial.backbone == self.axes.backbone
        }
        return tuple(
            trial.model_copy(update={"status": "skipped", "reason": reasons[trial.id]})
            for trial in self.priced
            if reasons.get(trial.id)
        )

    @property
    def allowed(self) -> tuple[Trial, ...]:
        """Trials that can run and that no limit rules out."""
        excluded = {trial.id for trial in self.excluded}
        return tuple(trial for trial in self.priced if trial.id not in excluded)

    @property
    def full_fits(self) -> bool:
        """Whether full fine-tuning fits the memory: a priced trial that is refused all the same does not."""
        refused = {trial.regime for trial in self.refused if trial.predicted.peak_memory_bytes is not None}
        return "full" not in refused | {trial.regime for trial in self.excluded if _is_too_large(trial, self)}

    @property
    def backbone_allowed(self) -> bool:
        """Whether provenance and place of the backbone keep the limits."""
        kept = Limits(local_only=self.limits.local_only, known_provenance=self.limits.known_provenance)
        return not excluded_by(kept, Cost(), self.reference, self.provenance)


def _is_too_large(trial: Trial, situation: Situation) -> bool:
    most, needed = situation.limits.max_memory_bytes, trial.predicted.peak_memory_bytes
    return most is not None and needed is not None and needed > most
