"""Limits of deployment: hard filters that outrank accuracy."""

from __future__ import annotations

from cutpoint.sizes import size
from cutpoint.types import BackboneReference, Cost, Limits, Provenance

_HUBS = ("timm", "transformers")


def excluded_by(
    limits: Limits,
    cost: Cost,
    reference: BackboneReference,
    provenance: Provenance,
    *,
    is_pretrained: bool = True,
) -> str:
    """Why a trial may not be shipped; empty where it keeps every limit.

    A figure that is not known excludes nothing: a latency that was not measured is no reason yet.

    Args:
        limits: What the user asked for.
        cost: Of the trial, predicted or measured.
        reference: Of its backbone.
        provenance: Of its backbone.
        is_pretrained: Whether the trial starts from the backbone's weights; from random ones, nobody else's data are
            in the model.
    """
    reasons = (
        _latency(limits, cost),
        _bytes("takes", cost.peak_memory_bytes, limits.max_memory_bytes, "of memory to train"),
        _bytes("stores", cost.stored_bytes, limits.max_stored_bytes, "for each task"),
        _place(limits, reference),
        _provenance(limits, reference, provenance) if is_pretrained else "",
    )
    return "; ".join(reason for reason in reasons if reason)


def untold(provenance: Provenance) -> list[str]:
    """What a backbone does not say of where it comes from."""
    told = {"licence": provenance.licence, "training data": provenance.trained_on}
    return [what for what, known in told.items() if not known]


def _latency(limits: Limits, cost: Cost) -> str:
    if limits.max_latency_ms is None or cost.latency_ms is None or cost.latency_ms <= limits.max_latency_ms:
        return ""
    return f"answers in {cost.latency_ms:.3g} ms, and {limits.max_latency_ms:g} ms are allowed"


def _bytes(verb: str, found: int | None, allowed: int | None, what: str) -> str:
    if allowed is None or found is None or found <= allowed:
        return ""
    return f"{verb} {size(found)} {what}, and {size(allowed)} are allowed"


def _place(limits: Limits, reference: BackboneReference) -> str:
    if not limits.local_only or reference.path is not None or reference.kind not in _HUBS:
        return ""
    return f"{reference.name} is named by its hub, and only backbones in a folder of this machine are allowed"


def _provenance(limits: Limits, reference: BackboneReference, provenance: Provenance) -> str:
    if not limits.known_provenance or reference.kind == "none":
        return ""
    unknown = untold(provenance)
    return f"{reference.name} does not say its {' and '.join(unknown)}" if unknown else ""
