"""Folds and held-out parts: complete, disjoint, stratified, free of leaking groups, seeded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cutpoint.data import load_dataset
from cutpoint.data.splits import folds, hold_out_mask, holdout
from cutpoint.errors import DataError
from cutpoint.types import Dataset, Task


def _dataset(targets: Any, groups: Any = None, task: str | None = None) -> Dataset:
    inputs = np.random.default_rng(0).normal(size=(len(targets), 2))
    return load_dataset(inputs, targets=targets, group=groups, task=task, test_fraction=0)


def _check_folds(data: Dataset, rows: NDArray[np.int64], repeats: list[Any]) -> None:
    for repeat in repeats:
        assert sorted(np.concatenate([held for _, held in repeat])) == sorted(rows)
        for train, held in repeat:
            assert sorted([*train, *held]) == sorted(rows)
            if data.groups is not None:
                assert set(data.groups[train]).isdisjoint(data.groups[held])


def test_folds_are_stratified_and_seeded() -> None:
    data = _dataset(["a"] * 30 + ["b"] * 10)
    rows = np.arange(0, 40, dtype=np.int64)
    repeats = folds(data, rows, count=5, repeats=3, seed=4)
    assert [len(repeat) for repeat in repeats] == [5, 5, 5]
    _check_folds(data, rows, repeats)
    assert all((data.targets[held] == 1).sum() == 2 for repeat in repeats for _, held in repeat)
    again = folds(data, rows[::-1], count=5, repeats=3, seed=4)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(repeats[2], again[2], strict=True))
    assert not np.array_equal(repeats[0][0][1], repeats[1][0][1])


def test_folds_of_a_part_speak_of_rows_of_the_whole() -> None:
    data = _dataset(["a", "b"] * 20)
    rows = np.arange(5, 35, 2, dtype=np.int64).repeat(1)
    rows = np.sort(np.concatenate([rows, rows + 1]))
    _check_folds(data, rows, folds(data, rows, count=3, repeats=1, seed=0))


def test_a_class_smaller_than_the_folds_stays_in_every_training_part(
    recwarn: pytest.WarningsRecorder,
) -> None:
    data = _dataset(["a"] * 20 + ["b"] * 2)
    (repeat,) = folds(data, np.arange(22), count=5, repeats=1, seed=0)
    assert len(repeat) == 5
    assert all((data.targets[train] == 1).any() for train, _ in repeat)
    assert not len(recwarn)


def test_folds_are_fewer_where_data_are_few() -> None:
    data = _dataset(["a", "a", "a", "b", "b"])
    assert len(folds(data, np.arange(5), count=10, repeats=1, seed=0)[0]) == 3
    with pytest.raises(DataError, match=r"single example cannot be cross-validated .*: b"):
        folds(data, np.arange(4), count=2, repeats=1, seed=0)
    grouped = _dataset(["a", "b"] * 6, groups=[n // 4 for n in range(12)])
    repeats = folds(grouped, np.arange(12), count=5, repeats=2, seed=0)
    assert [len(repeat) for repeat in repeats] == [3, 3]
    _check_folds(grouped, np.arange(12), repeats)
    with pytest.raises(DataError, match="at least two groups; there are 1"):
        folds(grouped, np.arange(4), count=5, repeats=1, seed=0)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])
def test_no_leak_in_any_kind_of_task(kind: str, grouped: bool) -> None:
    random = np.random.default_rng(1)
    targets: Any = {
        "multiclass": random.integers(0, 3, 90),
        "multilabel": random.integers(0, 2, (90, 4)),
        "regression": random.normal(size=90),
    }[kind]
    data = _dataset(targets, groups=random.integers(0, 15, 90) if grouped else None)
    assert data.task.kind == kind
    rows = np.arange(90)
    repeats = folds(data, rows, count=4, repeats=2, seed=0)
    assert [len(repeat) for repeat in repeats] == [4, 4]
    _check_folds(data, rows, repeats)
    train, held = holdout(data, rows, fraction=0.3, seed=0)
    assert sorted([*train, *held]) == rows.tolist()
    assert 0.2 <= len(held) / 90 <= 0.4
    assert np.array_equal(held, holdout(data, rows, fraction=0.3, seed=0)[1])
    assert not np.array_equal(held, holdout(data, rows, fraction=0.3, seed=1)[1])
    if data.groups is not None:
        assert set(data.groups[train]).isdisjoint(data.groups[held])


def test_holdout_keeps_the_shares_of_classes() -> None:
    data = _dataset(["a"] * 100 + ["b"] * 50 + ["c"] * 3 + ["d"] * 2)
    train, held = holdout(data, np.arange(155), fraction=0.2, seed=0)
    assert np.bincount(data.targets[held], minlength=4).tolist() == [20, 10, 1, 0]
    assert np.bincount(data.targets[train]).tolist() == [80, 40, 2, 2]


def test_grouped_holdout_never_takes_the_only_group_of_a_class() -> None:
    targets = np.repeat([0, 1, 2], 20)
    groups = np.array(["alone" if target == 2 else f"g{n % 8}" for n, target in enumerate(targets)])
    task, names = Task(kind="multiclass", labels=("a", "b", "c")), [str(row) for row in range(60)]
    for seed in range(10):
        held = hold_out_mask(task, targets, groups, names, fraction=0.25, seed=seed)
        assert held.any()
        assert not held[groups == "alone"].any()


def test_what_cannot_be_held_out() -> None:
    data = _dataset(["a", "b"] * 3, groups=["x"] * 6)
    with pytest.raises(DataError, match="cannot be held out of 1 group "):
        holdout(data, np.arange(6), fraction=0.2, seed=0)
    with pytest.raises(DataError, match="share of 0 cannot be held out"):
        holdout(data, np.arange(6), fraction=0, seed=0)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_copies_of_the_same_content_stay_together(kind: str, grouped: bool) -> None:
    values = np.arange(60) // 3 * 1.5  # each content three times
    targets = [f"c{n % 2}" for n in range(60)] if kind == "multiclass" else (values % 7).tolist()
    groups = [f"g{n // 2 % 20}" for n in range(60)] if grouped else None
    data = load_dataset(values[:, None], targets=targets, group=groups, task=kind, test_fraction=0.25, seed=3)
    keys = np.array(data.keys)
    assert set(keys[data.splits["train"]]).isdisjoint(keys[data.splits["test"]])
    assert len(data.splits["test"]) >= 3
    rows = np.arange(60, dtype=np.int64)
    repeats = folds(data, rows, count=4, repeats=2, seed=1)
    _check_folds(data, rows, repeats)
    for repeat in repeats:
        assert all(set(keys[train]).isdisjoint(keys[held]) for train, held in repeat)


def test_copies_change_nothing_where_there_are_none() -> None:
    targets = np.arange(40) % 2
    task = Task(kind="binary", labels=("a", "b"))
    names = [str(row) for row in range(40)]
    held = hold_out_mask(task, targets, None, names, fraction=0.2, seed=5)
    copied = hold_out_mask(
        task, np.append(targets, targets[7]), None, [*names, names[7]], fraction=0.2, seed=5
    )
    assert np.array_equal(copied[:40], held) and copied[40] == copied[7]


def test_nothing_but_copies_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match=r"of 20 examples \(2 without copies\)"):
        load_dataset(np.repeat([[1.0], [2.0]], 10, axis=0), targets=["a", "b"] * 10)
