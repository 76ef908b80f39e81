"""Entities are counted as conlleval counts them, and the metrics over words follow from the counts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cutpoint.errors import DataError
from cutpoint.evaluation.entities import entity_counts
from cutpoint.evaluation.intervals import score
from cutpoint.evaluation.metrics import METRICS, check_metric
from cutpoint.types import IGNORED, Task

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
TASK = Task(kind="tagging", labels=LABELS, metric="entity_f1")


def _targets(*sentences):
    """(N, longest) of sentences written as tags with blanks between."""
    rows = [[LABELS.index(tag) for tag in sentence.split()] for sentence in sentences]
    longest = max(map(len, rows))
    return np.array([row + [IGNORED] * (longest - len(row)) for row in rows])


def _predictions(*sentences):
    targets = _targets(*sentences)
    return np.where(targets == IGNORED, -1, targets).astype(np.float32)


def _counts(truth, predicted):
    return entity_counts(_targets(truth), _predictions(predicted), LABELS)[0].tolist()


def test_worked_by_hand():
    truth = ("B-PER I-PER O B-LOC", "B-LOC O", "O O O")
    predicted = ("B-PER I-PER O B-PER", "B-LOC I-LOC", "O B-PER O")
    targets, predictions = _targets(*truth), _predictions(*predicted)
    # found, there, predicted: the wrong type, one word too many, and one where there is none.
    assert entity_counts(targets, predictions, LABELS).tolist() == [[1, 2, 2], [0, 1, 1], [0, 0, 1]]
    assert METRICS["entity_f1"].function(targets, predictions, TASK) == pytest.approx(2 * 1 / (3 + 4))
    weights = np.array([[2.0, 1, 0], [0, 0, 1]])
    found = METRICS["entity_f1"].weighted(targets, predictions, TASK, weights)
    np.testing.assert_allclose(found, [2 * 2 / (5 + 5), 0])
    words = TASK.model_copy(update={"metric": "token_accuracy"})
    assert METRICS["token_accuracy"].function(targets, predictions, words) == pytest.approx(6 / 9)


@pytest.mark.parametrize(
    ("truth", "predicted", "counts"),
    [
        ("B-PER I-PER O", "I-PER I-PER O", [1, 1, 1]),  # I- begins an entity at the start,
        ("O B-PER I-PER", "O I-PER I-PER", [1, 1, 1]),  # after O,
        ("B-PER B-LOC I-LOC", "B-PER I-LOC I-LOC", [2, 2, 2]),  # and after another type
        ("B-PER B-PER", "B-PER I-PER", [0, 2, 1]),  # but B- ends the one before it
        ("B-PER I-PER I-PER", "B-PER I-PER B-PER", [0, 1, 2]),
        ("B-PER I-PER", "B-PER O", [0, 1, 1]),
        ("O O", "O O", [0, 0, 0]),
    ],
)
def test_conventions_of_conlleval(truth, predicted, counts):
    assert _counts(truth, predicted) == counts


def _by_conlleval(sentence):
    """Spans by the rules startOfChunk and endOfChunk of conlleval, word by word."""
    spans, start, before = set(), None, ("O", "")
    for place, tag in enumerate([*sentence, "O"]):
        prefix, _, kind = tag.partition("-")
        ends = before[0] != "O" and (prefix in "BO" or kind != before[1])
        begins = prefix == "B" or (prefix == "I" and (before[0] == "O" or kind != before[1]))
        if ends:
            spans.add((start, place, before[1]))
        if begins:
            start = place
        before = (prefix, kind)
    return spans


def test_equals_conlleval_on_random_tags():
    random = np.random.default_rng(0)
    lengths = random.integers(1, 12, 300)
    outside = np.arange(11) >= lengths[:, None]
    targets, predictions = (random.integers(0, 5, (300, 11)) for _ in range(2))
    predictions = np.where(random.random((300, 11)) < 0.7, targets, predictions)
    ours = entity_counts(
        np.where(outside, IGNORED, targets), np.where(outside, -1.0, predictions).astype(np.float32), LABELS
    )
    for row, length in enumerate(lengths):
        sides = [
            _by_conlleval([LABELS[tag] for tag in side[row, :length]]) for side in (targets, predictions)
        ]
        assert ours[row].tolist() == [len(sides[0] & sides[1]), len(sides[0]), len(sides[1])]
    assert ours[:, 0].sum() > 100


def test_words_that_were_cut_off_count_as_missed():
    targets = _targets("B-PER I-PER O B-LOC")
    predictions = _predictions("B-PER I-PER O B-LOC")
    predictions[0, 2:] = -1
    assert entity_counts(targets, predictions, LABELS).tolist() == [[1, 2, 1]]
    assert METRICS["token_accuracy"].function(targets, predictions, TASK) == 0.5


def test_what_stands_behind_the_last_word_is_not_judged():
    targets, predictions = _targets("B-PER", "O O O"), _predictions("B-PER", "O O O")
    predictions[0, 1:] = LABELS.index("I-PER")
    assert entity_counts(targets, predictions, LABELS).tolist() == [[1, 1, 1], [0, 0, 0]]


def test_tags_of_another_scheme_are_refused_before_anything_is_trained():
    task = Task(kind="tagging", labels=("NOUN", "VERB"), metric="entity_f1")
    with pytest.raises(DataError, match=r"'NOUN'[\s\S]*token_accuracy"):
        check_metric(task)
    assert check_metric(task.model_copy(update={"metric": "token_accuracy"})).share


def test_no_entity_anywhere_is_undefined_and_false_alarms_are_not():
    with pytest.raises(DataError, match="entity_f1 is not defined"):
        METRICS["entity_f1"].function(_targets("O O"), _predictions("O O"), TASK)
    assert METRICS["entity_f1"].function(_targets("O O"), _predictions("O B-PER"), TASK) == 0


def test_interval_covers_the_true_f1():
    """One entity a sentence, found with probability .7 and else of the wrong type: F1 is .7."""
    random = np.random.default_rng(0)
    inside = 0
    for number in range(150):
        right = random.random(120) < 0.7
        targets = np.tile(_targets("B-PER I-PER O"), (120, 1))
        predictions = np.where(right[:, None], targets, _targets("B-LOC I-LOC O")).astype(np.float32)
        found = score(TASK, targets, predictions, seed=number)
        inside += found.low <= 0.7 <= found.high
    assert 0.9 <= inside / 150 <= 0.99


def test_entities_of_real_sentences(shared):
    lines = (shared / "data" / "text" / "wnut17" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    sentences = [json.loads(line)["tags"] for line in lines]
    labels = tuple(sorted({tag for sentence in sentences for tag in sentence}))
    longest = max(map(len, sentences))
    targets = np.full((len(sentences), longest), IGNORED)
    for row, sentence in enumerate(sentences):
        targets[row, : len(sentence)] = [labels.index(tag) for tag in sentence]
    predictions = np.where(targets == IGNORED, -1, targets).astype(np.float32)
    counts = entity_counts(targets, predictions, labels)
    assert (counts[:, :1] == counts).all()
    assert counts[:, 1].sum() == sum(len(_by_conlleval(sentence)) for sentence in sentences) > 1000


@pytest.mark.parametrize("metric", ["entity_f1", "token_accuracy"])
def test_words_that_no_prediction_reaches_count_as_wrong(metric: str) -> None:
    """As where the longest sentence of the data is not among those judged, or is cut off."""
    task = Task(kind="tagging", labels=("O", "B-x"), metric=metric)
    targets = np.array([[0, 1, IGNORED, IGNORED, IGNORED], [1, 0, 0, 1, IGNORED]])
    narrow = np.array([[0, 1, -1], [1, 0, 0]], dtype=np.float32)
    wide = np.array([[0, 1, -1, -1, -1, -1], [1, 0, 0, -1, -1, -1]], dtype=np.float32)
    found = score(task, targets, narrow)
    assert found == score(task, targets, wide)
    assert found.value == pytest.approx({"entity_f1": 4 / 5, "token_accuracy": 5 / 6}[metric])
