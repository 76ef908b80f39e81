"""Learning curves: intervals that hold in simulation, and honest answers where the points say little."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.evaluation.learning_curve import extrapolate

SHARES = np.array([50.0, 125.0, 250.0, 500.0])


def coverage(points: np.ndarray, times: float, *, known: bool, level: float, curves: int = 150) -> float:
    """Share of random curves whose true score at `times` the last point lies in the interval."""
    random = np.random.default_rng(0)
    hits = 0
    for seed in range(curves):
        asymptote, exponent = random.uniform(0.6, 1.0), random.uniform(0.1, 1.2)
        gap = random.uniform(0.05, 0.4) * points.min() ** exponent
        noise = random.uniform(0.002, 0.02) * np.sqrt(points.max() / points)
        scores = asymptote - gap * points**-exponent + noise * random.standard_normal(len(points))
        at = times * points.max()
        found = extrapolate(points, scores, at, deviations=noise if known else None, level=level, seed=seed)
        hits += found.low <= asymptote - gap * at**-exponent <= found.high
    return hits / curves


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("points", "times"),
    [(SHARES, 2.0), (np.repeat(SHARES, [5, 3, 2, 1]), 2.0), (np.arange(1.0, 6.0), 3.0)],
    ids=["four shares", "with repeats", "five epochs"],
)
def test_intervals_hold_in_simulation(points: np.ndarray, times: float, known: bool) -> None:
    assert coverage(points, times, known=known, level=0.95) >= 0.89
    assert 0.66 <= coverage(points, times, known=known, level=0.8) <= 0.93


def test_a_clean_power_law_is_followed() -> None:
    found = extrapolate(SHARES, 0.9 - 2 * SHARES**-0.5, 2000, deviations=np.full(4, 1e-4))
    assert found.value == pytest.approx(0.9 - 2 * 2000**-0.5, abs=0.002)
    assert found.high - found.low < 0.01


def test_two_points_leave_much_open() -> None:
    two = extrapolate([250, 500], [0.7, 0.75], 1000)
    four = extrapolate(SHARES, [0.55, 0.64, 0.7, 0.75], 1000)
    assert two.low < 0.75 < two.value < 0.8 < two.high
    assert two.high - two.low > 0.07
    assert 0.75 < four.value < 0.82


def test_a_flat_curve_stays_flat() -> None:
    found = extrapolate(SHARES, [0.8] * 4, 1000)
    assert found.value == pytest.approx(0.8, abs=0.002) and found.high - found.low < 0.01
    noisy = extrapolate(SHARES, [0.8, 0.81, 0.79, 0.8], 1000, deviations=[0.01] * 4)
    assert noisy.low < 0.8 < noisy.high < 0.84


def test_a_falling_curve_promises_nothing_and_is_told_to_be_unsure() -> None:
    found = extrapolate(SHARES, [0.8, 0.7, 0.65, 0.6], 1000)
    assert found.low < 0.65 and found.high > 0.72 and 0.6 < found.value < 0.8


def test_no_score_exceeds_the_most() -> None:
    found = extrapolate([1, 2, 3], [0.9, 0.95, 0.99], 30, most=1.0)
    assert found.low < 0.97 < found.value < 0.995 < found.high <= 1.0
    beyond = extrapolate([1, 2, 3], [1.0, 1.0, 1.0], 30, deviations=[1e-9] * 3, most=0.9)
    assert beyond == (0.9, 0.9, 0.9)


def test_scores_of_any_size_are_followed_alike() -> None:
    small = extrapolate(SHARES, [0.5, 0.6, 0.66, 0.7], 1000, seed=4)
    large = extrapolate(SHARES, [500.0, 600.0, 660.0, 700.0], 1000, seed=4)
    np.testing.assert_allclose(np.array(large) / 1000, small, rtol=1e-6)


def test_same_seed_same_interval() -> None:
    given = (SHARES, [0.5, 0.6, 0.66, 0.7], 1000)
    assert extrapolate(*given, seed=1) == extrapolate(*given, seed=1) != extrapolate(*given, seed=2)


@pytest.mark.parametrize(
    ("x", "y"), [([], []), ([5], [0.5]), ([5, 5], [0.5, 0.6]), ([0, 5], [0.5, 0.6]), ([1, 2], [0.5, np.nan])]
)
def test_what_is_no_curve_is_refused(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match="two points at different positive x"):
        extrapolate(x, y, 10)
