"""Pictures of another make are noticed, those of the same are not."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.evaluation.likeness import look, seen_images, unlike_training

RANDOM = np.random.default_rng(0)


def _pictures(count: int) -> list[np.ndarray]:
    levels = RANDOM.normal(120, 25, (count, 1, 1, 1))
    tints = RANDOM.normal(0, 20, (count, 3, 1, 1))
    return list((levels + tints + RANDOM.normal(0, 50, (count, 3, 16, 16))).clip(0, 255).astype(np.uint8))


SEEN = seen_images([look(each) for each in _pictures(200)])


def test_figures_of_a_picture():
    red = np.zeros((3, 4, 4), dtype=np.uint8)
    red[0] = 90
    assert look(red) == pytest.approx((30.0, 42.43, 90.0), abs=0.01)
    assert look(np.full((1, 4, 4), 7, dtype=np.uint8)) == (7.0, 0.0, 0.0)


@pytest.mark.parametrize("count", [1, 3, 30])
def test_pictures_of_the_same_kind_pass(count):
    alarms = [unlike_training([look(each) for each in _pictures(count)], SEEN) for _ in range(60)]
    assert sum(alarm is not None for alarm in alarms) <= 1


@pytest.mark.parametrize("count", [1, 30])
@pytest.mark.parametrize("change", [lambda p: p // 255, lambda p: np.full_like(p, 255), lambda p: p // 20])
def test_another_scale_is_told_of_one_picture_and_of_many(count, change):
    found = unlike_training([look(change(each)) for each in _pictures(count)], SEEN)
    assert found is not None and "brightness" in found.evidence


def test_lost_colour_is_told_of_several_pictures_and_not_where_training_was_grey():
    grey = [look(np.repeat(each[:1], 3, axis=0)) for each in _pictures(12)]
    found = unlike_training(grey, SEEN)
    assert found is not None and "colour" in found.evidence
    assert unlike_training(grey, seen_images(grey)) is None


def test_no_pictures_no_warning():
    assert unlike_training([], SEEN) is None
