"""What was lost elsewhere is measured on the same examples before and after."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cutpoint.errors import DataError
from cutpoint.evaluation.forgetting import pair_similarity, retention
from cutpoint.types import Retention, Task

LANGUAGE = Task(kind="language", metric="perplexity")
VALUES = Task(kind="regression", metric="spearman")


def _texts(mean, seed=0, count=200):
    random = np.random.default_rng(seed)
    tokens = random.integers(20, 80, count)
    losses = tokens * random.normal(mean, 0.3, count)
    return np.stack([losses, tokens, tokens // 3], axis=1).astype(np.float32)


def test_perplexity_that_rises_is_forgetting():
    before = _texts(1.5)
    after = before.copy()
    after[:, 0] *= 1.1
    found = retention(LANGUAGE, np.zeros(200, int), before, after, reference="TinyStories")
    assert found.after.value == pytest.approx(found.before.value**1.1, rel=1e-5)
    assert found.change == pytest.approx(1 - found.after.value / found.before.value)
    assert found.low < found.change < found.high < 0
    assert found.sentence.startswith("perplexity on TinyStories: 4.")
    assert "% worse [-" in found.sentence and "chance" not in found.sentence
    assert Retention.model_validate_json(found.model_dump_json()) == found


def test_the_interval_of_the_change_is_paired():
    """Texts differ far more among each other than one differs before and after."""
    before = _texts(1.5)
    after = before.copy()
    after[:, 0] *= 1.02
    found = retention(LANGUAGE, np.zeros(200, int), before, after, reference="x")
    assert found.high - found.low < 0.1 * (found.before.high - found.before.low) / found.before.value
    assert found.low <= found.change <= found.high < 0


def test_change_in_either_direction_may_be_chance():
    found = retention(LANGUAGE, np.zeros(200, int), _texts(1.5), _texts(1.5, seed=1), reference="x")
    assert found.low < 0 < found.high
    assert found.sentence.endswith("which may be chance.")
    same = retention(LANGUAGE, np.zeros(200, int), _texts(1.5), _texts(1.5), reference="x")
    assert (same.change, same.low, same.high) == (0, 0, 0)
    assert same.sentence.endswith("unchanged [0.0, 0.0].")


def test_groups_are_resampled_together():
    before = np.repeat(_texts(1.5, count=20), 10, axis=0)
    after = before.copy()
    after[:, 0] *= np.repeat(np.random.default_rng(3).normal(1.05, 0.1, 20), 10)
    alone, grouped = (
        retention(LANGUAGE, np.zeros(200, int), before, after, reference="x", groups=groups)
        for groups in (None, np.repeat(np.arange(20), 10))
    )
    assert grouped.change == alone.change
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_a_sentence_encoder_that_was_drawn_elsewhere_loses_rank_correlation():
    random = np.random.default_rng(0)
    truth = random.random(300)
    first = random.normal(size=(300, 16))
    second = truth[:, None] * first + (1 - truth)[:, None] * random.normal(size=(300, 16))
    before = pair_similarity(first, second)
    after = pair_similarity(first + 2 * random.normal(size=first.shape), second)
    columns = (side[:, None].astype(np.float32) for side in (before, after))
    found = retention(VALUES, truth.astype(np.float32), *columns, reference="pairs")
    assert found.before.value == pytest.approx(stats.spearmanr(truth, before)[0], abs=1e-4)
    assert found.high < -0.1
    assert found.sentence.startswith("spearman on pairs: 0.")


def test_accuracy_is_told_in_points():
    task = Task(kind="binary", labels=("no", "yes"))
    column = np.where(np.arange(200) < 180, 0.9, 0.1).astype(np.float32)
    before = np.stack([1 - column, column], axis=1)
    after = np.where(np.arange(200)[:, None] < 20, before[:, ::-1], before)
    found = retention(task, np.ones(200, int), before, after, reference="clothes")
    assert found.sentence.startswith("accuracy on clothes: 90.0 % before, 80.0 % after: 10.0 points worse [-")


def test_other_rows_are_refused():
    with pytest.raises(DataError, match=r"200 were judged before and 199 after[\s\S]*same examples"):
        retention(LANGUAGE, np.zeros(200, int), _texts(1.5), _texts(1.5)[1:], reference="x")


def test_cosine():
    first = np.array([[1, 0], [1, 1], [0, 0], [2, 0]], dtype=np.float32)
    second = np.array([[3, 0], [1, 0], [1, 1], [-1, 0]], dtype=np.float32)
    np.testing.assert_allclose(pair_similarity(first, second), [1, np.sqrt(0.5), 0, -1])
