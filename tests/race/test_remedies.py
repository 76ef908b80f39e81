"""Findings lead to regimes of the table."""

from __future__ import annotations

from typing import Any

import pytest

from cutpoint.race.remedies import _REMEDIES, remedies
from cutpoint.regimes import named_regimes
from cutpoint.types import Finding, Trial


def _trial(*codes: str, severity: Any = "warning", train: str = "all", **facts: Any) -> Trial:
    findings = tuple(Finding(code=code, severity=severity, text="…") for code in codes)
    recipe = {"stages": [{"phase": {"train": "head"}}, {"phase": {"train": train}}]}
    given = {"id": "t", "regime": "full", "backbone": "net", "status": "finished", "cut": 0, **facts}
    return Trial(findings=findings, recipe=recipe, **given)


def _names(*arguments: Any, **options: Any) -> list[str]:
    return [remedy.regime for remedy in remedies(*arguments, **options)]


def test_every_remedy_is_a_row_of_the_table():
    rows = {regime.name for regime in named_regimes()}
    assert all(remedy.regime in rows and remedy.reason for listed in _REMEDIES.values() for remedy in listed)


@pytest.mark.parametrize(
    ("code", "first"),
    [
        ("overfitting", "full-strong-augmentation"),
        ("rate-too-high", "full-layer-decay"),
        ("late-instability", "full-refreeze"),
        ("diverged", "full-layer-decay"),
        ("negative-transfer", "gradual-unfreezing"),
    ],
)
def test_the_first_remedy_of_each_fault(code: str, first: str) -> None:
    assert _names(_trial(code), "image")[0] == first


def test_texts_are_not_augmented_and_what_has_run_is_not_run_again() -> None:
    assert "full-strong-augmentation" not in _names(_trial("overfitting"), "text")
    assert "full-l2sp" not in _names(_trial("overfitting"), "image", tried=["full-l2sp"])


def test_the_cut_moves_with_the_fault() -> None:
    higher = {
        each.regime: each.raise_cut for each in remedies(_trial("overfitting"), "image", tried=["partial"])
    }
    assert higher["partial"] is True
    (lower, *_) = remedies(_trial("underfitting", regime="partial", cut=5), "image")
    assert (lower.regime, lower.raise_cut) == ("partial", False)
    assert "partial" not in _names(_trial("underfitting", cut=0), "image")


def test_a_head_that_overfits_needs_labels_and_no_regime() -> None:
    assert _names(_trial("overfitting", train="head", regime="linear-probe", cut=9), "image") == []
    assert _names(_trial("underfitting", train="head", regime="linear-probe", cut=9), "image")[0] == "partial"


def test_the_gravest_fault_decides_the_order_and_information_asks_for_nothing() -> None:
    assert _names(_trial("underfitting", "diverged"), "image")[0] == "full-layer-decay"
    assert _names(_trial("overfitting", severity="info"), "image") == []
    assert _names(_trial(), "image") == []
