"""Situations made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cutpoint.advice.situation import Situation
from cutpoint.types import Axes, BackboneReference, Cost, Provenance, Trial

Make = Callable[..., Situation]


def priced(regime: str, seconds: float, **cost: Any) -> Trial:
    return Trial(
        id=regime,
        regime=regime,
        backbone="net",
        status="priced",
        predicted=Cost(seconds=seconds, trainable_parameters=100, **cost),
    )


@pytest.fixture
def situation() -> Make:
    """A situation: axes by name, and parts of the situation itself where it knows the name."""

    def make(**given: Any) -> Situation:
        parts = {name: given.pop(name) for name in list(given) if name in Situation.__dataclass_fields__}
        axes: dict[str, Any] = {
            "modality": "image",
            "kind": "multiclass",
            "rows": 2000,
            "classes": 10,
            "per_class": 200.0,
            "smallest_class": 150,
            "imbalance": 1.5,
            "backbone": "net",
            "parameters": 5_000_000,
            "probe": 0.8,
            "chance": 0.1,
            "random_init": 0.3,
            "distance": 0.25,
            "budget_seconds": 1200.0,
        }
        usual: dict[str, Any] = {
            "reference": BackboneReference(kind="timm", name="net", path="/somewhere/net", digest="0"),
            "provenance": Provenance(licence="MIT", trained_on="photos"),
            "metric": "accuracy",
            "priced": (
                priced("linear-probe", 2.0, stored_bytes=50_000, peak_memory_bytes=10**6),
                priced("partial", 60.0, stored_bytes=10**6, peak_memory_bytes=10**8),
                priced("full", 200.0, stored_bytes=20_000_000, peak_memory_bytes=10**9),
                priced("lora", 150.0, stored_bytes=10**5, peak_memory_bytes=10**9),
                priced("scratch", 300.0, stored_bytes=20_000_000, peak_memory_bytes=10**9),
            ),
            "fine_tunes": frozenset({"partial", "full", "lora"}),
            "from_random": frozenset({"scratch"}),
        }
        return Situation(axes=Axes(**{**axes, **given}), **{**usual, **parts})

    return make
