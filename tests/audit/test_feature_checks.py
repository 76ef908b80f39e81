"""Checks on features: planted faults are found, clean data stay silent."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.audit import neighbours, shift
from cutpoint.audit.labels import doubtful_labels, label_findings, label_issues, noise_rate
from cutpoint.audit.neighbours import near_pairs, neighbour_findings
from cutpoint.audit.pretraining import pretraining_finding, shared_classes
from cutpoint.audit.shift import shift_findings, split_shift
from cutpoint.types import Dataset, Task

_CLASSES = 20


def _probe(rows: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of a probe that is right in four cases of five, labels, and which of them are wrong."""
    random = np.random.default_rng(seed)
    truth = np.arange(rows) % _CLASSES
    logits = random.normal(size=(rows, _CLASSES))
    logits[np.arange(rows), truth] += random.uniform(0.5, 9, rows)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = np.zeros(rows, dtype=bool)
    wrong[random.permutation(rows)[: round(noise * rows)]] = True
    given = np.where(wrong, (truth + random.integers(1, _CLASSES, rows)) % _CLASSES, truth)
    return probabilities, given, wrong


def _dataset(splits: dict[str, np.ndarray], targets: np.ndarray | None = None) -> Dataset:
    rows = sum(len(members) for members in splits.values())
    labels = tuple(f"c{number}" for number in range(_CLASSES))
    return Dataset(
        source="made",
        modality="text",
        task=Task(kind="multiclass", labels=labels),
        inputs=[f"text {row}" for row in range(rows)],
        targets=np.zeros(rows, dtype=np.int64) if targets is None else targets,
        splits=splits,
        keys=tuple(f"key {row}" for row in range(rows)),
        names=tuple(f"row {row}" for row in range(rows)),
    )


# ------------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.2])
def test_rate_of_wrong_labels_is_that_planted(noise: float) -> None:
    probabilities, given, _ = _probe(1500, noise)
    rate = noise_rate(probabilities, given)
    assert rate.low <= noise <= rate.high
    assert rate.high - rate.low < 0.15


def test_candidates_are_the_wrong_labels() -> None:
    probabilities, given, wrong = _probe(1500, 0.1)
    found = doubtful_labels(probabilities, given)
    assert wrong[found].mean() > 0.8
    assert wrong[found].sum() > 0.6 * wrong.sum()
    likely = probabilities[found, given[found]]
    assert np.all(np.diff(likely) >= 0), "least likely first"


def test_hard_examples_are_no_wrong_labels() -> None:
    probabilities, given, _ = _probe(1500, 0.0)
    assert (probabilities.argmax(axis=1) != given).mean() > 0.1
    assert len(doubtful_labels(probabilities, given)) < 0.02 * len(given)
    data = _dataset({"train": np.arange(1500)}, given)
    issues = label_issues(probabilities, given, data.task.labels, data.names)
    assert label_findings(data, np.arange(1500), probabilities, issues) == ()


def test_a_probe_that_mostly_errs_doubts_no_label() -> None:
    random = np.random.default_rng(0)
    given = random.integers(0, _CLASSES, 400)
    probabilities = random.dirichlet(np.full(_CLASSES, 0.1), 400)
    assert noise_rate(probabilities, given).low > 0.5, "by the rate alone, most labels would be wrong"
    data = _dataset({"train": np.arange(400)}, given)
    assert not label_issues(probabilities, given, data.task.labels, data.names)
    (finding,) = label_findings(data, np.arange(400), probabilities, ())
    assert finding.severity == "info" and "cannot be told" in finding.text


def test_label_finding_shows_the_examples() -> None:
    probabilities, given, wrong = _probe(600, 0.15)
    data = _dataset({"train": np.arange(600)}, given)
    issues = label_issues(probabilities, given, data.task.labels, data.names)
    (finding,) = label_findings(data, np.arange(600), probabilities, issues)
    assert finding.severity == "warning"
    assert finding.exhibits[0].name == issues[0].name
    assert wrong[int(issues[0].name.split()[1])]
    assert issues[0].given != issues[0].suggested


def test_classes_without_examples_and_few_rows_are_no_obstacle() -> None:
    probabilities, given, _ = _probe(60, 0.1)
    given = given % 7
    assert set(doubtful_labels(probabilities, given)) <= set(range(60))
    assert len(doubtful_labels(probabilities, np.zeros(60, dtype=np.int64))) == 0


# -------------------------------------------------------------------------------------------- neighbours


def _clusters(rows: int, width: int = 64, seed: int = 0) -> np.ndarray:
    """Tight and loose classes, as features are."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(8, width))
    member = random.integers(0, 8, rows)
    spread = np.linspace(0.3, 1.5, 8)[member]
    return (centres[member] + spread[:, None] * random.normal(size=(rows, width))).astype(np.float32)


def test_no_near_pairs_in_clusters() -> None:
    assert len(near_pairs(_clusters(1500)).left) == 0


@pytest.mark.parametrize("exact_up_to", [8_000, 100])
def test_planted_copies_are_found(exact_up_to: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", exact_up_to)
    features = _clusters(1200)
    features[1100:] = features[:100] + np.random.default_rng(1).normal(scale=0.05, size=(100, 64))
    found = near_pairs(features)
    planted = {(row, 1100 + row) for row in range(100)}
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert len(pairs & planted) >= 95
    assert len(pairs - planted) <= 1
    assert np.all(np.diff(found.likeness) <= 0)


def test_groups_of_copies_are_found() -> None:
    features = _clusters(400)
    features[390:396] = features[389] + np.random.default_rng(1).normal(scale=0.02, size=(6, 64))
    assert len(near_pairs(features).left) >= 20


def test_few_rows_have_no_surroundings() -> None:
    assert len(near_pairs(np.ones((10, 4), dtype=np.float32)).left) == 0


def test_near_pairs_across_splits_warn_and_those_within_inform() -> None:
    features = _clusters(300)
    features[250] = features[3] + 0.01
    features[20] = features[10] + 0.01
    data = _dataset({"train": np.arange(240), "test": np.arange(240, 300)})
    across, within = neighbour_findings(data, np.arange(300), features)
    assert (across.code, across.severity) == (neighbours.ACROSS, "warning")
    assert {exhibit.name for exhibit in across.exhibits} == {"row 3", "row 250"}
    assert (within.code, within.severity) == (neighbours.WITHIN, "info")
    assert {exhibit.name for exhibit in within.exhibits} == {"row 10", "row 20"}


def test_equal_content_is_left_to_hashes() -> None:
    features = _clusters(300)
    features[250] = features[3]
    data = _dataset({"train": np.arange(240), "test": np.arange(240, 300)})
    keys = list(data.keys)
    keys[250] = keys[3]
    same = Dataset(**{**vars(data), "keys": tuple(keys)})
    assert neighbour_findings(same, np.arange(300), features) == ()


# ------------------------------------------------------------------------------------------------- shift


@pytest.mark.parametrize("width", [8, 400])
def test_random_splits_are_not_told_apart(width: int) -> None:
    told = 0
    for seed in range(10):
        features = _clusters(400, width, seed)
        found = split_shift(features[:300], features[300:], seed=seed)
        told += found.low > 0.5 + shift.MARGIN
    assert told == 0


def test_planted_shift_is_told_with_the_strangest_examples() -> None:
    features = _clusters(500)
    features[400:] += 0.4
    features[499] += 2
    data = _dataset({"train": np.arange(400), "test": np.arange(400, 500)})
    rows = data.splits["train"], data.splits["test"]
    (finding,) = shift_findings(data, rows[0], features[:400], rows[1], features[400:])
    assert (finding.code, finding.severity) == (shift.CODE, "warning")
    assert finding.exhibits[0].name == "row 499"
    plain = _clusters(500)
    assert shift_findings(data, rows[0], plain[:400], rows[1], plain[400:]) == ()


def test_copies_within_the_test_split_are_no_shift() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 300))
    test = np.repeat(random.normal(size=(20, 300)), 5, axis=0)
    groups = np.repeat(np.arange(20), 5)
    assert split_shift(features, test).low > 0.6, "a classifier that remembers an example knows its copy"
    assert split_shift(features, test, train_groups=np.arange(400) + 20, test_groups=groups).low < 0.6


# ------------------------------------------------------------------------------------------- pretraining


def test_names_of_classes_meet_their_synonyms_and_kinds() -> None:
    source = (
        "jersey, T-shirt, tee shirt",
        "cowboy hat, ten-gallon hat",
        "hatchet",
        "running shoe",
        "African elephant",
    )
    shared = shared_classes(("shirt", "t-shirt", "Hats", "shoes", "elephants", "lung", "at"), source)
    assert shared == {
        "shirt": source[0],
        "t-shirt": source[0],
        "Hats": source[1],
        "shoes": source[3],
        "elephants": source[4],
    }


def test_equal_names_go_before_kinds() -> None:
    assert shared_classes(("cat",), ("tiger cat", "cat, true cat")) == {"cat": "cat, true cat"}


def test_pretraining_is_silent_without_shared_names() -> None:
    assert pretraining_finding(("copper", "spur"), ("tench", "goldfish"), "net") == ()
    (finding,) = pretraining_finding(("copper", "tench"), ("tench", "goldfish"), "net")
    assert finding.severity == "info"
    assert finding.text.startswith("1 of 2 classes")
