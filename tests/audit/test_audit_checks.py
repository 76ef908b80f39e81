"""Single checks of the audit: what counts as a group in a name, as a shortcut, as a clash; mended splits."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cutpoint as cp
from cutpoint.audit import examine_content, write_splits
from cutpoint.audit.balance import balance, class_weights
from cutpoint.audit.conflicts import conflicting_rows
from cutpoint.audit.naming import named_groups
from cutpoint.audit.repair import one_side
from cutpoint.audit.shortcuts import strength
from cutpoint.data import load_dataset
from cutpoint.errors import DataError
from cutpoint.types import Dataset, TextPair

_UUIDS = [
    "009b3c31-fb62-45c0-be9a-37a5c238cb88.jpg",
    "04f0b07f-4b9f-4c55-be5d-b693658fb32c.jpg",
    "053689bb-5928-489b-9eaf-dfb969b05e93.jpg",
    "ff84e74e-d53f-43c5-9ba6-351f665e2637.jpg",
]


@pytest.mark.parametrize(
    "names",
    [
        [f"dress/{n}.jpg" for n in range(40)],
        [f"dress/dress_{n:03d}.jpg" if n % 2 else f"hat/hat_{n:03d}.jpg" for n in range(40)],
        [f"IMG_{n:04d}.png" for n in range(40)],
        [f"{n // 10}{name}" for n, name in enumerate(_UUIDS * 10)],
        [f"{np.base_repr(n * 2654435761 % 2**32, 16).lower()}_{n % 7}c{n % 5}.jpg" for n in range(40)],
        [f"row {n}" for n in range(40)],
    ],
    ids=["counters", "labels", "camera", "uuids", "hashes", "rows"],
)
def test_clean_names_tell_no_groups(names: list[str]) -> None:
    assert named_groups(names, ["hat", "dress"] * 20) is None


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ([f"train/{n % 4}/{n % 4}_{('ann', 'bob')[n // 4 % 2]}_{n}.wav" for n in range(40)], {"ann", "bob"}),
        ([f"x/0004100{n // 5}_{n % 5}.png" for n in range(40)], {f"0004100{n}" for n in range(8)}),
        ([f"a_b/Blood_000{n // 5}_{n % 5}.jpg" for n in range(40)], {f"Blood_000{n}" for n in range(8)}),
        ([f"leaf/plant{n // 4}-{n % 4}.png" for n in range(40)], {f"plant{n}" for n in range(10)}),
    ],
    ids=["speakers", "boards", "slides", "plants"],
)
def test_names_tell_groups_with_an_expression_that_works(names: list[str], groups: set[str]) -> None:
    labels = [str(n % 4) for n in range(40)]
    found = named_groups(names, labels)
    assert found is not None and set(found.groups) == groups
    matches = [re.search(found.pattern, name) for name in names]
    assert [match[1] for match in matches if match] == list(found.groups)


def test_a_prefix_of_nearly_all_names_is_no_group() -> None:
    names = [f"train/Photo_{n:04d}.jpg" for n in range(38)] + ["train/copy_a.jpg", "train/copy_b.jpg"]
    assert named_groups(names, ["hat", "dress"] * 20) is None
    assert named_groups([*names[:20], *(f"train/copy_{n}.jpg" for n in range(20))], ["hat", "dress"] * 20)


def test_strength_of_features() -> None:
    random = np.random.default_rng(0)
    targets = np.arange(300) % 3
    assert strength(random.normal(size=300), targets, 3).lift < 0.15
    perfect = strength(targets + 0.1 * random.normal(size=300), targets, 3)
    assert perfect.lift > 0.9 and min(perfect.classes.values()) > 0.95
    one = strength(np.where(targets == 1, 5.0, 0.0) + random.normal(size=300), targets, 3)
    assert one.classes[1] > 0.8 > one.classes[0]
    weak = strength(targets + 2 * random.normal(size=300), targets, 3)
    assert perfect.accuracy > weak.accuracy > 0.35
    assert strength(random.normal(size=6), np.array([0, 0, 0, 1, 1, 1]), 2).lift == 0.0


def test_class_weights_and_sizes() -> None:
    counts = np.array([60, 30, 10])
    weights = class_weights(("a", "b", "c"), counts)
    assert sum(weights[name] * count for name, count in zip("abc", counts, strict=True)) == pytest.approx(100)
    assert weights["c"] == pytest.approx(6 * weights["a"])
    assert [finding.severity for finding in balance(("a", "b", "c"), counts)] == ["info"]
    assert {finding.code for finding in balance(("a", "b"), np.array([100, 3]))} == {
        "imbalance",
        "tiny-classes",
    }
    assert balance(("a", "b"), np.array([50, 40])) == []


def test_clashes_of_one_and_of_several_labels() -> None:
    same = np.array([0, 1, 0, 2, 1, 1])
    assert [rows.tolist() for rows in conflicting_rows(same, np.array([1, 0, 1, 0, 0, 1]))] == [[1, 4, 5]]
    several = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [0, 1], [0, 1]])
    assert [rows.tolist() for rows in conflicting_rows(same, several)] == [[0, 2]]


def _three_splits() -> Dataset:
    texts = [f"text {n}" for n in range(30)]
    data = load_dataset(texts, targets=["a", "b"] * 15, test_fraction=0)
    rows = np.arange(30)
    return replace(data, splits={"train": rows[:18], "val": rows[18:24], "test": rows[24:]})


def test_what_is_judged_on_stays() -> None:
    families = np.arange(30)
    families[[0, 1, 19]] = families[25]  # train, train, val and test
    families[2] = families[20]  # train and val
    families[4] = families[3]  # both train
    splits = one_side(_three_splits(), families)
    assert splits["test"].tolist() == list(range(24, 30))
    assert splits["val"].tolist() == [18, 20, 21, 22, 23]
    assert splits["train"].tolist() == list(range(3, 18))
    families[:18:2] = families[24]
    with pytest.raises(DataError, match="too few training examples are left of: a"):
        one_side(_three_splits(), families)


def test_pictures_are_written_with_paths_that_hold(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(24):
        part, label = ("train", "test")[number % 3 == 2], ("1", "2")[number % 2]
        file = tmp_path / "data" / part / label / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(file)
    Image.open(tmp_path / "data/test/1/2.png").save(tmp_path / "data/train/1/copy.bmp")
    data = tmp_path / "data"
    assert [leak.code for leak in cp.audit(data).leaks] == ["leaked-duplicates"]
    repair = cp.fix_splits(data, tmp_path / "new" / "splits.csv")
    assert repair.left_out == ("train/1/copy.bmp",) and repair.rows == {"train": 16, "test": 8}
    assert repair.command.endswith("splits.csv --task binary")
    again = load_dataset(repair.file, task="binary")
    assert again.task.labels == ("1", "2") and not examine_content(again).audit.leaks
    assert {name: len(rows) for name, rows in again.splits.items()} == repair.rows
    with pytest.raises(DataError, match="exists already"):
        cp.fix_splits(data, repair.file)
    with pytest.raises(DataError, match=r"does not end in \.csv"):
        cp.fix_splits(data, tmp_path / "splits.json")


def test_pairs_values_labels_and_groups_survive(tmp_path: Path) -> None:
    pairs = [TextPair(f'left "{n}", of', f"right\n{n * 7}") for n in range(20)]
    values = [n / 10 + 0.25 for n in range(20)]
    data = load_dataset(pairs, targets=values, group=[f"g{n // 2}" for n in range(20)])
    write_splits(data, examine_content(data).alike, tmp_path / "pairs.csv")
    again = load_dataset(tmp_path / "pairs.csv", task="regression", group="group")
    order = [pairs.index(pair) for pair in again.inputs]
    assert sorted(order) == list(range(20))
    assert np.allclose(again.targets, data.targets[order])
    assert again.groups is not None and data.groups is not None
    assert again.groups.tolist() == data.groups[order].tolist()
    several = load_dataset(
        [f"text {n}" for n in range(12)], targets=[["x, y"], ["x, y", "z"], []] * 4, task="multilabel"
    )
    write_splits(several, examine_content(several).alike, tmp_path / "several.csv")
    back = load_dataset(tmp_path / "several.csv", task="multilabel")
    assert back.task.labels == several.task.labels and back.targets.sum() == several.targets.sum()
    words = load_dataset([["a", str(n)] for n in range(8)], targets=[["O", "B-X"]] * 8)
    with pytest.raises(DataError, match="not for text data in memory or for tagging"):
        write_splits(words, examine_content(words).alike, tmp_path / "words.csv")


def test_our_own_test_part_holds_no_copies(tmp_path: Path) -> None:
    texts = [f"This is text number {n} of many." for n in range(40)]
    copies = [text.upper() for text in texts[:20]]
    data = load_dataset([*texts, *copies], targets=["a", "b"] * 30, test_fraction=0.3)
    examined = examine_content(data)
    test = examined.dataset.splits["test"]
    assert not examined.audit.leaks and len(test) >= 5
    assert sum(len(rows) for rows in examined.dataset.splits.values()) == 60
    folded = [str(text).lower() for text in data.inputs]
    train = {folded[row] for row in examined.dataset.splits["train"]}
    assert not any(folded[row] in train for row in test)
    assert "copies-kept-together" in {finding.code for finding in examined.audit.findings}


def test_rows_of_numbers_coincide_without_stopping_a_run(tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "split"])
        for n in range(20):
            writer.writerow([f"text {n % 18}", "ab"[n % 2], "train" if n < 14 else "test"])
    data = load_dataset(tmp_path / "rows.csv")
    numbers = replace(data, modality="features", inputs=np.arange(20.0)[:, None])
    audit = examine_content(numbers).audit
    assert not audit.leaks and "shortcuts" in audit.not_checked
    assert "leaked-duplicates" not in {
        finding.code for finding in audit.findings if finding.severity == "error"
    }
