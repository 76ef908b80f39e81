"""Limits of deployment as hard filters."""

from __future__ import annotations

from typing import Any

import pytest

from cutpoint.advice.limits import excluded_by
from cutpoint.types import BackboneReference, Cost, Limits, Provenance

HUB = BackboneReference(kind="timm", name="resnet50", digest="0")
FOLDER = BackboneReference(kind="timm", name="net", path="/here/net", digest="0")
BUILTIN = BackboneReference(kind="builtin", name="builtin:glyphs", digest="0")
KNOWN = Provenance(licence="MIT", trained_on="photos")
COST = Cost(latency_ms=20.0, peak_memory_bytes=2_000_000_000, stored_bytes=5_000_000)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({}, ""),
        ({"max_latency_ms": 20.0}, ""),
        ({"max_latency_ms": 19.9}, "answers in 20 ms, and 19.9 ms are allowed"),
        ({"max_memory_bytes": 1 << 30}, "takes 2.00 GB of memory to train, and 1.07 GB are allowed"),
        ({"max_stored_bytes": 4_999_999}, "stores 5.00 MB for each task, and 5.00 MB are allowed"),
        ({"max_stored_bytes": 5_000_000}, ""),
        ({"local_only": True}, ""),
        ({"known_provenance": True}, ""),
    ],
)
def test_of_a_folder(limits: dict[str, Any], words: str) -> None:
    assert excluded_by(Limits(**limits), COST, FOLDER, KNOWN) == words


def test_place_and_provenance() -> None:
    local, known = Limits(local_only=True), Limits(known_provenance=True)
    assert "hub" in excluded_by(local, COST, HUB, KNOWN)
    assert excluded_by(local, COST, BUILTIN, KNOWN) == ""
    assert "does not say its training data" in excluded_by(known, COST, HUB, Provenance(licence="MIT"))
    assert "licence and training data" in excluded_by(known, COST, FOLDER, Provenance())
    assert excluded_by(known, COST, FOLDER, Provenance(), is_pretrained=False) == ""


def test_what_is_unknown_excludes_nothing_and_reasons_add_up() -> None:
    tight = Limits(max_latency_ms=1.0, max_memory_bytes=1, max_stored_bytes=1)
    assert excluded_by(tight, Cost(), FOLDER, KNOWN) == ""
    assert excluded_by(tight, COST, FOLDER, KNOWN).count("; ") == 2
