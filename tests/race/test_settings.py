"""Lengths of time and targets as users write them."""

from __future__ import annotations

import pytest

from cutpoint.errors import CutpointError
from cutpoint.race.settings import Target, parse_budget, parse_target


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("20min", 1200), ("1.5h", 5400), (30, 30), ("45", 45)]
)
def test_lengths_of_time(text: str | float, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["soon", "20 parsecs", "", "-5", 0, "0m"])
def test_what_is_no_length_of_time(text: str | float) -> None:
    with pytest.raises(CutpointError, match=r"Hint: .*20m"):
        parse_budget(text)


def test_targets() -> None:
    assert parse_target("accuracy >= 0.95", "accuracy") == Target(metric="accuracy", value=0.95)
    assert parse_target(None, "accuracy") is None
    for text in ("0.95", "accuracy>0.95", "f1_macro>=0.9"):
        with pytest.raises(CutpointError):
            parse_target(text, "accuracy")
