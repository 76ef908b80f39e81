"""Which rows judge: never a test row, every judged row once a repeat, no group on two sides."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.data import load_dataset
from cutpoint.planning.judging import plan_judging
from cutpoint.planning.settings import Settings
from cutpoint.types import Dataset


def plain(rows: int, groups: list[str] | None = None) -> Dataset:
    rng = np.random.default_rng(0)
    return load_dataset(rng.normal(size=(rows, 3)), targets=rng.choice(["a", "b"], rows), group=groups)


def test_few_rows_are_cross_validated_and_repeated() -> None:
    dataset = plain(200)
    judging = plan_judging(dataset, Settings())
    assert judging.is_cross_validation and len(judging.repeats) == 3
    for fits in judging.repeats:
        held = np.concatenate([held for _, held in fits])
        assert sorted(held) == sorted(dataset.splits["train"])
        assert not any(set(train) & set(held) for train, held in fits)
    assert not set(judging.rows) & set(dataset.splits["test"])
    assert "5-fold" in judging.sentence


def test_many_rows_are_held_out_once() -> None:
    dataset = plain(2000)
    judging = plan_judging(dataset, Settings())
    assert not judging.is_cross_validation
    ((train, held),) = judging.repeats[0]
    assert len(held) == pytest.approx(0.2 * len(dataset.splits["train"]), rel=0.02)
    assert not set(train) & set(held) and not set(held) & set(dataset.splits["test"])


def test_groups_stay_on_one_side() -> None:
    names = [f"g{number % 23}" for number in range(300)]
    dataset = plain(300, names)
    assert dataset.groups is not None
    for fits in plan_judging(dataset, Settings()).repeats:
        for train, held in fits:
            assert not set(dataset.groups[train]) & set(dataset.groups[held])
