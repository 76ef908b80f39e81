"""Lengths of time and targets as users write them."""

from __future__ import annotations

import pytest

from cutpoint.errors import CutpointError
from cutpoint.planning.settings import Target, parse_budget, parse_target
from cutpoint.types import Score


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
    for text in ("0.95", "accuracy>0.95", "f1_macro>=0.9", "accuracy<=0.95", "accuracy>=0.9.5"):
        with pytest.raises(CutpointError):
            parse_target(text, "accuracy")


def test_targets_of_errors_ask_for_less() -> None:
    target = parse_target("mae<=2", "mae")
    assert target == Target(metric="mae", value=2)
    score = Score(metric="mae", value=1.8, low=1.5, high=2.1, n=10)
    assert not target.is_met(score)
    assert target.is_met(score.model_copy(update={"high": 2.0}))
    with pytest.raises(CutpointError, match="less is better"):
        parse_target("mae>=2", "mae")
