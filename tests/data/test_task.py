"""The task that labels imply, and labels that fit none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cutpoint.data.task import label_targets
from cutpoint.errors import DataError


def _kind(labels: list[Any], kind: str | None = None) -> str:
    return label_targets(labels, [str(n) for n in range(len(labels))], kind=kind).task.kind


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["a", "b", "a"], "binary"),
        ([True, False, True], "binary"),
        ([0, 1, 1], "binary"),
        (["0", "1", "1"], "binary"),
        ([1, 2, 3, 3], "multiclass"),
        ([0.0, 1.0, 2.0, 1.0], "multiclass"),
        (list(range(30)) * 2, "multiclass"),
        ([float(n) for n in range(30)], "regression"),
        ([0.5, 1, 2], "regression"),
        (["0.5", "1", "2e3"], "regression"),
        (["-1.5", "3", "4"], "regression"),
        (["1.5", "3", "four", "3"], "multiclass"),
        (["salt|pepper", "sugar", "sugar"], "binary"),
        (["salt|pepper", "salt", "sugar"], "multilabel"),
        ([["a"], ["a", "b"], []], "multilabel"),
        ([[0, 1, 1], [1, 0, 0]], "multilabel"),
        ([np.int64(3), np.int64(4), np.int64(4)], "binary"),
        ([np.float32(3.5), np.float32(4), np.float32(4)], "regression"),
    ],
)
def test_inferred_kind(labels: list[Any], kind: str) -> None:
    assert _kind(labels) == kind


def test_the_kind_can_be_stated() -> None:
    assert _kind([1, 2, 3, 3], "regression") == "regression"
    assert _kind([1.5, 2.5, 2.5], "binary") == "binary"
    assert _kind(["a", "b", "b"], "multiclass") == "multiclass"
    assert _kind(["a", "b", "b"], "multilabel") == "multilabel"
    with pytest.raises(DataError, match="3 classes: 1, 2, 3"):
        _kind([1, 2, 3, 3], "binary")
    with pytest.raises(DataError, match="labels are lists"):
        _kind([["a"], ["b"], ["b"]], "multiclass")
    with pytest.raises(DataError, match="no task “rank”"):
        _kind([1, 2], "rank")


def test_class_numbers_follow_natural_order() -> None:
    labelled = label_targets([10.0, 9.0, 9.0, -2.0], list("abcd"))
    assert labelled.task.labels == ("-2", "9", "10")
    assert labelled.targets.tolist() == [2, 1, 1, 0]
    assert labelled.targets.dtype == np.int64
    assert label_targets([" b10", "b9 ", "b9"], list("abc")).task.labels == ("b9", "b10")


def test_the_metric_can_be_stated() -> None:
    assert label_targets(["a", "b", "b"], list("abc"), metric="f1_macro").task.metric == "f1_macro"


def test_indicator_rows_keep_their_columns() -> None:
    labelled = label_targets(list(np.array([[0, 1, 0], [1, 1, 0]])), ["x", "y"])
    assert labelled.task.labels == ("0", "1", "2")
    assert labelled.targets.tolist() == [[0, 1, 0], [1, 1, 0]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", None, "b"], "examples without a label, 1 of 3: 1"),
        ([1.0, float("nan"), 2.0], "examples without a label, 1 of 3: 1"),
        (["a", "a"], "all 2 examples have the label “a”"),
        (["a", "b", "c"], "every one of the 3 examples has a label of its own"),
        ([2.5, 2.5], "every target is 2.5"),
        ([["a"], ["a"]], "at least two labels; there are 1: a"),
        ([[0.5, 0.1], [0.2, 0.3]], "list of labels holds 0.5"),
    ],
)
def test_labels_that_fit_no_task(labels: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        _kind(labels)


def test_commas_separate_labels_where_every_part_stands_elsewhere_too() -> None:
    several = ["o, x", "x", "o", "x, t", "t, o"]
    labelled = label_targets(several, [str(row) for row in range(5)])
    assert labelled.task.kind == "multilabel" and labelled.task.labels == ("o", "t", "x")
    names = ["shirt, white", "shirt, blue", "shirt, white", "shirt, blue"]
    assert label_targets(names, list("abcd")).task.labels == ("shirt, blue", "shirt, white")
