"""Each check fires on a planted curve and is silent on healthy ones."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.evaluation.curves import diagnose_curves
from cutpoint.evaluation.diagnosis import chance_score, diagnose, diagnose_scores, negative_transfer
from cutpoint.types import EpochRecord, Finding, Score, Task

BINARY = Task(kind="binary", labels=("no", "yes"))


def _curve(training, validation):
    return tuple(
        EpochRecord(
            phase=0,
            epoch=number,
            frozen_blocks=3,
            steps=10,
            rate=1e-3,
            train_loss=train_loss,
            validation_loss=validation_loss,
            validation_metric=0.8,
            seconds=1.0,
            best=False,
        )
        for number, (train_loss, validation_loss) in enumerate(zip(training, validation, strict=True))
    )


def _falling(epochs, start=1.8, end=0.3, noise=0.02, seed=0):
    course = end + (start - end) * np.exp(-np.arange(epochs) / (epochs / 5))
    return course * (1 + noise * np.random.default_rng(seed).normal(size=epochs))


HEALTHY = {
    "long": _curve(_falling(30), _falling(30, end=0.4, noise=0.04, seed=1)),
    "short": _curve(_falling(3), _falling(3, end=0.5)),
    "one epoch": _curve([1.0], [1.1]),
    "mild overfitting at the end": _curve(_falling(20, end=0.05), np.r_[_falling(12, end=0.4), [0.42] * 8]),
    "from a good probe, near zero": _curve(_falling(12, 0.06, 0.01), 0.05 + 0.01 * np.cos(np.arange(12) * 2)),
    "no validation": _curve(_falling(10), [None] * 10),
}

_SWINGING = _falling(24, end=0.5)
_SWINGING[-8:] = [0.5, 0.8, 0.45, 0.9, 0.5, 0.75, 0.48, 0.85]
_JUMPING = _falling(15, start=0.8)
_JUMPING[1:3] = 2.4
PLANTED = {
    "diverged": _curve([1.0, 0.9, float("nan")], [1.0, 0.9, float("nan")]),
    "rate-too-high": _curve(_JUMPING, _falling(15)),
    "validation-only-rises": _curve(_falling(10, end=0.05), np.linspace(0.9, 1.9, 10)),
    "late-instability": _curve(_falling(24), _SWINGING),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_silent_on_healthy_curves(name):
    assert diagnose_curves([HEALTHY[name]]) == []


@pytest.mark.parametrize("seed", range(40))
def test_silent_on_noisy_healthy_curves(seed):
    epochs = 5 + seed
    curve = _curve(_falling(epochs, seed=seed), _falling(epochs, end=0.5, noise=0.04, seed=seed + 100))
    assert diagnose_curves([curve]) == []


@pytest.mark.parametrize("code", PLANTED)
def test_fires_on_the_planted_fault_alone(code):
    (finding,) = diagnose_curves([PLANTED[code]])
    assert finding.code == code
    assert finding.evidence and finding.remedy


def test_a_spike_of_validation_loss_that_comes_back_is_a_rate_too_high():
    (finding,) = diagnose_curves([_curve(_falling(15, start=0.8), _JUMPING)])
    assert finding.code == "rate-too-high"
    assert "2.4 in it" in finding.evidence


def _started(curve, first, worst):
    return (curve[0].model_copy(update={"first_loss": first, "worst_loss": worst}), *curve[1:])


@pytest.mark.parametrize(
    ("losses", "first", "worst", "severity"),
    [
        ([300.0, 500.0, 400.0], 2.3, 486.0, "warning"),  # never comes back
        ([3.3, 1.4, 0.9], 1.1, 19.0, "info"),  # comes back below where it began
        ([2.2, 1.4, 0.9], 2.3, 3.2, None),  # batches differ
        ([0.3, 0.3, 0.3], 0.1, 0.6, None),  # thrice of next to nothing
        ([8.2, 9.7, 9.0], 4.4, 12.0, "warning"),  # a language model's loss starts high
        ([130.0, 90.0, 80.0], 120.0, 148.0, None),  # so does a wrong head's, and its batches differ more
    ],
)
def test_a_loss_that_jumps_within_the_first_epoch(losses, first, worst, severity):
    found = diagnose_curves([_started(_curve(losses, losses), first, worst)])
    assert [finding.severity for finding in found] == [severity] * (severity is not None)
    assert all(f"{first:.3g} in the first batch of epoch 1" in finding.evidence for finding in found)


def test_what_a_fit_found_in_itself_stands_first_and_once():
    own = Finding(code="diverged", severity="warning", text="The fit diverged.", evidence="block 3")
    found = diagnose(
        [PLANTED["diverged"]] * 3, train=None, validation=None, chance=None, known=[[own], [], [own]]
    )
    assert [finding.evidence for finding in found] == ["block 3 (in 2 of 3 fits)"]


def test_more_capacity_is_no_remedy_for_a_wrecked_fit():
    scores = {"train": _score(0.1), "validation": _score(0.1), "chance": 0.1}
    wrecked = _started(_curve([300.0, 500.0, 400.0], [300.0, 500.0, 400.0]), 2.3, 486.0)
    assert [finding.code for finding in diagnose([wrecked], **scores)] == ["rate-too-high"]
    assert [finding.code for finding in diagnose([], **scores)] == ["underfitting"]


def test_a_validation_loss_that_rose_and_stays_up_has_only_risen():
    risen = np.r_[np.linspace(4.3, 9.6, 9), np.full(11, 9.6) - 0.01 * np.arange(11)]
    assert [f.code for f in diagnose_curves([_curve(_falling(20, 4.2, 0.0), risen)])] == [
        "validation-only-rises"
    ]


def test_phases_are_told_apart():
    """Augmentation lifts the training loss of a phase; a validation loss that jumps is another thing."""
    head = _curve([0.8, 0.4, 0.3], [0.6, 0.5, 0.45])
    first, later = [0.9, 0.7, 0.6, 0.5, 0.5, 0.5], [0.45, 0.44, 0.43, 0.42, 0.42, 0.42]

    def after_head(losses):
        return [
            record.model_copy(update={"phase": 1, "epoch": record.epoch + 3})
            for record in _curve(first, losses)
        ]

    assert diagnose_curves([[*head, *after_head(later)]]) == []
    (finding,) = diagnose_curves([[*head, *after_head([1.4, *later[1:]])]])
    assert finding.evidence == "validation loss 0.45 before epoch 4, 1.4 in it"


def test_one_fold_of_three_is_luck_and_two_are_not():
    healthy, planted = HEALTHY["long"], PLANTED["late-instability"]
    assert diagnose_curves([healthy, healthy, planted]) == []
    (finding,) = diagnose_curves([healthy, planted, planted])
    assert finding.evidence.endswith("(in 2 of 3 fits)")


def test_records_without_steps_are_no_part_of_the_course():
    """An exact head reports an epoch that took no step; what follows starts from its low loss."""
    exact = _curve([0.0], [0.1])[0].model_copy(update={"steps": 0})
    assert diagnose_curves([(exact, *HEALTHY["long"])]) == []


def _score(value, metric="accuracy"):
    return Score(metric=metric, value=value, low=value, high=value, n=100)


@pytest.mark.parametrize(
    ("metric", "train", "validation", "chance", "codes"),
    [
        ("accuracy", 0.99, 0.72, 0.5, ["overfitting"]),
        ("accuracy", 0.95, 0.91, 0.5, []),
        ("accuracy", 0.62, 0.60, 0.5, ["underfitting"]),
        ("accuracy", 0.62, 0.60, 0.1, []),
        ("r2", 0.2, 0.18, 0.0, ["underfitting"]),
        ("r2", 0.9, 0.5, 0.0, ["overfitting"]),
        ("rmse", 1.0, 2.0, 10.0, ["overfitting"]),
        ("rmse", 1.0, 1.1, 10.0, []),
        ("rmse", 8.0, 8.1, 10.0, ["underfitting"]),
        ("log_loss", 0.01, 0.08, 0.69, []),
        ("log_loss", 0.01, 0.5, 0.69, ["overfitting"]),
        ("perplexity", 400.0, 500.0, None, []),
        ("perplexity", 400.0, 520.0, None, ["overfitting"]),
        ("next_token_accuracy", 0.3, 0.28, None, []),
        ("entity_f1", 0.9, 0.6, 0.0, ["overfitting"]),
        ("entity_f1", 0.3, 0.25, 0.0, ["underfitting"]),
    ],
)
def test_gap_and_skill(metric, train, validation, chance, codes):
    findings = diagnose_scores(_score(train, metric), _score(validation, metric), chance=chance)
    assert [finding.code for finding in findings] == codes


def test_a_constant_answer_that_is_zero_but_for_rounding_reads_zero():
    found = diagnose_scores(_score(0.1, "r2"), _score(0.05, "r2"), chance=2.2e-16)
    assert found[0].evidence.endswith("a constant answer 0")


def test_all_findings_of_a_trial_together():
    findings = diagnose([PLANTED["late-instability"]], train=_score(0.99), validation=_score(0.7), chance=0.5)
    assert [finding.code for finding in findings] == ["late-instability", "overfitting"]
    assert diagnose([], train=None, validation=_score(0.7), chance=0.5) == []


def test_chance_is_what_a_constant_answer_scores():
    targets = np.array([0, 0, 0, 1])
    assert chance_score(BINARY, targets) == 0.75
    assert chance_score(BINARY.model_copy(update={"metric": "roc_auc"}), targets) == 0.5
    values = np.array([1.0, 3.0], dtype=np.float32)
    assert chance_score(Task(kind="regression", metric="rmse"), values) == pytest.approx(1.0)
    assert chance_score(Task(kind="regression", metric="r2"), values) == pytest.approx(0.0)


def test_chance_over_words_is_the_commonest_tag_and_over_tokens_there_is_none():
    tags = Task(kind="tagging", labels=("B-X", "O"), metric="token_accuracy")
    targets = np.array([[1, 1, 0], [1, -100, -100]])
    assert chance_score(tags, targets) == 0.75
    assert chance_score(tags.model_copy(update={"metric": "entity_f1"}), targets) == 0
    assert chance_score(Task(kind="language", metric="perplexity"), np.zeros(3, int)) is None


def test_negative_transfer_is_told_only_where_scratch_is_ahead():
    random = np.random.default_rng(0)
    targets = np.ones(300, dtype=np.int64)

    def predictions(share):
        column = np.where(random.random(300) < share, 0.9, 0.1).astype(np.float32)
        return np.stack([1 - column, column], axis=1)

    good, bad = predictions(0.9), predictions(0.75)
    given = {"scratch_id": "scratch", "pretrained_id": "full"}
    finding = negative_transfer(BINARY, targets, scratch=good, pretrained=bad, **given)
    assert finding is not None and finding.code == "negative-transfer"
    assert finding.evidence.startswith("scratch gains")
    assert negative_transfer(BINARY, targets, scratch=bad, pretrained=good, **given) is None
    assert negative_transfer(BINARY, targets, scratch=good, pretrained=good, **given) is None
