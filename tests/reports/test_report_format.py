"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from cutpoint.reports import format
from cutpoint.types import Score


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (None, "–"),
        (math.inf, "–"),
        (0.034, "0.03 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (250, "4 min 10 s"),
        (3599.7, "1 h"),
        (5400, "1 h 30 min"),
        (864000, "10.0 days"),
    ],
)
def test_seconds(duration: float | None, words: str) -> None:
    assert format.seconds(duration) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (51_240, "51.2 kB"), (999_600, "1.00 MB")],
)
def test_size(number: int | None, words: str) -> None:
    assert format.size(number) == words


def test_compact_and_count() -> None:
    assert format.compact(2_226_434) == "2.23 M"
    assert format.compact(970) == "970"
    assert format.count(2_226_434) == "2\u202f226\u202f434"


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (2_000, 25_000_000, "< 0.01 %"),
        (2_049, 25_559_081, "< 0.01 %"),
        (12_810, 2_236_682, "0.57 %"),
        (999_999, 1_000_000, "> 99.9 %"),
        (5, 5, "100 %"),
        (0, 5, "0 %"),
        (5, 0, "–"),
        (None, 5, "–"),
    ],
)
def test_share_never_rounds_to_nothing_or_all(part: int | None, whole: int, words: str) -> None:
    assert format.share(part, whole) == words


def test_scores_and_gains_keep_their_unit() -> None:
    accuracy = Score(metric="accuracy", value=0.8163, low=0.789, high=0.841, n=10)
    fit = Score(metric="r2", value=-0.4, low=-1.25, high=0.3, n=10)
    assert (format.score(accuracy), format.interval(accuracy)) == ("81.6 %", "78.9–84.1 %")
    assert (format.score(fit), format.interval(fit)) == ("−0.4", "−1.25 to 0.3")
    assert format.gain(-0.012, "accuracy") == "−1.2"
    assert format.gain(0.05, "r2") == "+0.05"
    assert (format.gain_unit("accuracy"), format.gain_unit("r2")) == ("points", "")


def test_probabilities_claim_no_certainty() -> None:
    assert [format.probability(number) for number in (0.0, 0.5, 0.998, math.nan)] == [
        "< 1 %",
        "50 %",
        "> 99 %",
        "–",
    ]


def test_numbers_keep_to_their_unit() -> None:
    assert format.prose("from 84.8 % in 3 s by 2 points, 3 samples") == (
        "from 84.8\u00a0% in 3\u00a0s by 2\u00a0points, 3 samples"
    )
