"""Errors that follow the source classes are told from those that do not."""

from __future__ import annotations

import numpy as np

from cutpoint.evaluation.source_classes import errors_follow_source, usual_targets

ROWS, SOURCES = 400, 8
USUAL = np.arange(SOURCES) % 2


def _drawn(follow: float, confidence: float = 0.95, seed: int = 0):
    """Answers of which that share is by the source class, the others right or wrong at random."""
    random = np.random.default_rng(seed)
    source, truth = random.integers(0, SOURCES, ROWS), random.integers(0, 2, ROWS)
    by_source = random.random(ROWS) < follow
    answer = np.where(by_source, USUAL[source], np.where(random.random(ROWS) < 0.7, truth, 1 - truth))
    predictions = np.where(np.eye(2)[answer] == 1, confidence, 1 - confidence)
    return {"source": source, "truth": truth, "predictions": predictions}


def test_what_a_source_class_usually_meant():
    source, targets = np.array([0, 0, 0, 0, 2, 2, 3, 3, 3]), np.array([1, 1, 0, 1, 0, 0, 2, 2, 2])
    assert usual_targets(source, targets, 5).tolist() == [1, -1, -1, 2, -1]


def test_followers_are_told_with_the_names_of_the_source_classes():
    names = tuple(f"thing {number}, synonym" for number in range(SOURCES))
    found = errors_follow_source(usual=USUAL, names=names, **_drawn(0.9))
    assert found is not None and found.severity == "warning"
    assert "thing" in found.evidence and "synonym" not in found.evidence


def test_errors_of_other_kinds_are_not_blamed_on_the_source():
    assert all(errors_follow_source(usual=USUAL, **_drawn(0.0, seed=seed)) is None for seed in range(40))


def test_unsure_and_few_errors_show_nothing():
    assert errors_follow_source(usual=USUAL, **_drawn(0.9, confidence=0.6)) is None
    few = {name: values[:60] for name, values in _drawn(0.9).items()}
    right = few["predictions"].argmax(1) == few["truth"]
    keep = right | (np.cumsum(~right) <= 5)
    assert errors_follow_source(usual=USUAL, **{name: values[keep] for name, values in few.items()}) is None


def test_source_classes_that_training_did_not_see_foretell_nothing():
    assert errors_follow_source(usual=np.full(SOURCES, -1), **_drawn(0.9)) is None
