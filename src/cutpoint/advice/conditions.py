"""The tiny language of the rules and of the tree: conditions over measured axes, as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from cutpoint.advice.bands import DistanceBand, distance_band
from cutpoint.advice.situation import Situation
from cutpoint.types import Modality, Record


class Condition(Record):
    """What must hold, all of it; a key that is not named asks for nothing, and what was not measured does not hold."""

    rows_below: int | None = None
    rows_from: int | None = None
    per_class_below: int | None = None
    """Median of training examples a class."""
    distance: tuple[DistanceBand, ...] | None = None
    modality: tuple[Modality, ...] | None = None
    language_model: bool | None = None
    parameters_from: int | None = None
    """Of the backbone."""
    full_fits: bool | None = None
    """Whether full fine-tuning fits the memory, or the user's limit of it."""
    tasks_from: int | None = None
    backbone_allowed: bool | None = None
    """Whether the backbone keeps --local-only and --known-provenance."""
    wrong_costs: tuple[Literal["nothing special", "revenue", "trust"], ...] | None = None
    any: tuple[Condition, ...] | None = None
    """At least one of these."""

    def holds(self, situation: Situation) -> bool:
        """Whether all that is named is so."""
        return all(
            _CHECKS[key](getattr(self, key), situation)
            for key in self.model_fields_set
            if getattr(self, key) is not None
        )


_CHECKS: dict[str, Callable[[Any, Situation], bool]] = {
    "rows_below": lambda limit, now: now.axes.rows < limit,
    "rows_from": lambda limit, now: now.axes.rows >= limit,
    "per_class_below": lambda limit, now: now.axes.per_class is not None and now.axes.per_class < limit,
    "distance": lambda bands, now: distance_band(now.axes) in bands,
    "modality": lambda names, now: now.axes.modality in names,
    "language_model": lambda wanted, now: (now.axes.kind == "language") is wanted,
    "parameters_from": lambda limit, now: now.axes.parameters >= limit,
    "full_fits": lambda wanted, now: now.full_fits is wanted,
    "tasks_from": lambda limit, now: now.axes.circumstances.tasks >= limit,
    "backbone_allowed": lambda wanted, now: now.backbone_allowed is wanted,
    "wrong_costs": lambda names, now: now.axes.circumstances.wrong_costs in names,
    "any": lambda choices, now: any(each.holds(now) for each in choices),
}
