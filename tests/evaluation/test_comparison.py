"""The rule that moves the lead: what it decides, how often it errs, and what it says."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.evaluation.comparison import LIKELY, PROVEN, compare
from cutpoint.evaluation.resampling import bootstrap, bootstrap_mean
from cutpoint.types import Task

BINARY = Task(kind="binary", labels=("no", "yes"))


def _predictions(correct):
    """Probabilities (…, 2) that put class 1, the truth of every row, first where `correct`."""
    column = np.where(correct, 0.9, 0.1).astype(np.float32)
    return np.stack([1 - column, column], axis=-1)


def _compare(leader, challenger, **options):
    targets = np.ones(leader.shape[-1], dtype=np.int64)
    given = {"leader_id": "probe", "challenger_id": "partial"} | options
    return compare(BINARY, targets, _predictions(leader), _predictions(challenger), **given)


def _pairs(random, gain, examples):
    """A leader right in 80 of 100, a challenger that decides a fifth of the examples otherwise."""
    leader = random.random(examples) < 0.8
    # P(wrong → right) − P(right → wrong) = gain, and the two add up to a fifth.
    mend, spoil = (0.2 + gain) / 2 / 0.2, (0.2 - gain) / 2 / 0.8
    draw = random.random(examples)
    return leader, np.where(leader, draw >= spoil, draw < mend)


def _shares(gain, examples, rounds=400):
    random = np.random.default_rng(11)
    results = [_compare(*_pairs(random, gain, examples), seed=number) for number in range(rounds)]
    replaced = [result for result in results if result.decision == "replaces"]
    shares = {
        "replaces": len(replaced) / rounds,
        "likely only": sum(result.p_positive < PROVEN for result in replaced) / rounds,
        "eliminated": sum(result.decision == "eliminated" for result in results) / rounds,
    }
    print(f"true gain {100 * gain:.0f} points, {examples} examples: {shares}")
    return shares


@pytest.mark.parametrize("examples", [150, 450])
def test_equal_trials_seldom_swap_and_are_seldom_called_proven(examples):
    shares = _shares(0.0, examples)
    assert shares["replaces"] <= 0.4
    assert shares["replaces"] - shares["likely only"] <= 0.08


@pytest.mark.parametrize(
    ("gain", "examples", "least"), [(0.02, 150, 0.3), (0.02, 450, 0.45), (0.05, 150, 0.6), (0.05, 450, 0.85)]
)
def test_true_gains_are_found_and_not_thrown_away(gain, examples, least):
    shares = _shares(gain, examples)
    assert shares["replaces"] >= least
    assert shares["eliminated"] <= 0.1


def test_a_clear_loser_is_eliminated():
    assert _shares(-0.05, 450, rounds=100)["eliminated"] >= 0.9


def test_interval_covers_the_true_gain():
    random = np.random.default_rng(5)
    results = [_compare(*_pairs(random, 0.03, 200), seed=number) for number in range(400)]
    coverage = np.mean([result.low <= 0.03 <= result.high for result in results])
    print(f"paired bootstrap, 200 examples: {coverage:.3f}")
    assert 0.92 <= coverage <= 0.98


def test_equal_predictions_are_called_equal():
    same = np.arange(500) % 5 > 0
    result = _compare(same, same)
    assert result.gain == 0 and result.low == -result.high and result.p_positive < LIKELY
    assert result.decision == "eliminated"
    assert result.sentence.startswith(
        "partial equals probe in accuracy [-0.6, 0.6]; the chance of a gain of 0.5"
    )
    few = _compare(same[:40], same[:40])
    assert few.decision == "kept out", "forty equal answers do not show that there is no gain"


def test_two_more_right_answers_of_hundreds_are_little_evidence():
    found = _compare(np.arange(230) >= 2, np.full(230, True))
    assert LIKELY < found.p_positive < 0.8, "plain resampling would say .86"
    assert _compare(np.arange(230) >= 4, np.full(230, True)).p_positive > found.p_positive


def test_sentences_say_what_the_numbers_say():
    leader = np.arange(200) < 140
    proven = _compare(leader, np.arange(200) < 160)
    assert proven.decision == "replaces"
    assert proven.sentence.startswith("partial gains 10.0 points of accuracy [")
    assert proven.sentence.endswith(
        "on probe; the chance that it is better at all is 100 %: it takes the lead."
    )
    swapped = leader.copy()
    swapped[[0, 1, 2, 3, 140, 141, 142, 143, 144, 145, 146, 147]] ^= True
    likely = _compare(leader, swapped)
    assert LIKELY <= likely.p_positive < PROVEN
    assert "likely, not proven" in likely.sentence
    swapped[[145, 146, 147]] ^= True
    assert _compare(leader, swapped).decision == "kept out"


def test_a_gain_below_the_least_that_pays_never_replaces():
    leader = np.arange(1000) < 700
    challenger = np.arange(1000) < 704
    assert _compare(leader, challenger).decision == "kept out"
    assert _compare(leader, challenger, min_gain=0.004).decision == "replaces"


def test_repeats_may_differ_and_are_averaged():
    random = np.random.default_rng(0)
    leader, challenger = random.random((4, 100)) < 0.7, random.random((2, 100)) < 0.9
    result = _compare(leader, challenger)
    assert result.gain == pytest.approx(challenger.mean() - leader.mean())
    assert result.low < result.gain < result.high


def test_lower_is_better_for_errors_and_any_metric_is_resampled():
    random = np.random.default_rng(0)
    targets = random.normal(size=200).astype(np.float32)
    noise = random.normal(size=(200, 1)).astype(np.float32)
    for metric in ("mae", "rmse", "r2", "spearman"):
        task = Task(kind="regression", metric=metric)
        far, near = targets[:, None] + noise, targets[:, None] + 0.5 * noise
        result = compare(task, targets, far, near, leader_id="a", challenger_id="b", min_gain=0.01)
        assert result.decision == "replaces"
        assert result.low > 0
        back = compare(task, targets, near, far, leader_id="a", challenger_id="b", min_gain=0.01)
        assert back.decision == "eliminated"
        assert back.gain == pytest.approx(-result.gain)


def test_few_distinct_values_are_resampled_like_rows():
    values = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], size=80)
    options = {"resamples": 20_000, "groups": None, "seed": 1}
    fast = bootstrap_mean(values, **options)
    rows = bootstrap(lambda weights: weights @ values / 80, 80, **options)
    assert fast.mean() == pytest.approx(rows.mean(), abs=0.004)
    assert fast.std() == pytest.approx(rows.std(), rel=0.02)


def test_groups_make_the_comparison_less_sure():
    random = np.random.default_rng(2)
    leader = np.repeat(random.random(15) < 0.7, 20)
    challenger = np.repeat(random.random(15) < 0.85, 20)
    alone = _compare(leader, challenger)
    grouped = _compare(leader, challenger, groups=np.repeat(np.arange(15), 20))
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


def test_more_than_likely_can_be_asked_for():
    before, after = np.arange(230) >= 3, np.full(230, True)
    assert _compare(before, after).decision == "replaces"
    assert _compare(before, after, needed=PROVEN).decision == "kept out"


def _texts(factor, count=300):
    """(N, 3) of losses whose mean is `factor` times that of the same texts at 1."""
    random = np.random.default_rng(0)
    tokens = random.integers(50, 150, count)
    losses = tokens * random.normal(1.5, 0.3, count) + np.log(factor) * tokens
    return np.stack([losses, tokens, tokens // 3], axis=1).astype(np.float32)


def test_perplexity_is_compared_in_shares():
    """Half a per cent pays at a perplexity of 4 and of 4 000 alike."""
    task, targets = Task(kind="language", metric="perplexity"), np.zeros(300, int)
    ids = {"leader_id": "base", "challenger_id": "lora"}
    for scale in (1, 1000):
        better = compare(task, targets, _texts(scale), _texts(0.97 * scale), **ids)
        assert better.gain == pytest.approx(0.03, abs=1e-5)
        assert better.decision == "replaces"
        assert better.sentence.startswith("lora lowers perplexity by 3.0 % [3.0, 3.0] against base; ")
        little = compare(task, targets, _texts(scale), _texts(0.998 * scale), **ids)
        assert little.decision == "eliminated"
        assert "chance of a gain of 0.5 % is 0 %" in little.sentence
    worse = compare(task, targets, _texts(1), _texts(1.03), **ids)
    assert worse.sentence.startswith("lora raises perplexity by 3.0 % [-3.0, -3.0] against base; ")
    same = compare(task, targets, _texts(1), _texts(1), **ids)
    assert same.sentence.startswith("lora equals base in perplexity [0.0, 0.0]; ")


def test_tags_are_compared_sentence_by_sentence():
    random = np.random.default_rng(0)
    task = Task(kind="tagging", labels=("O", "B-X", "I-X"), metric="entity_f1")
    targets = random.integers(0, 3, (300, 12))
    targets[:, 8:] = np.where(random.random((300, 1)) < 0.5, -100, targets[:, 8:])
    noise = random.random(targets.shape)
    far, near = (np.where(noise < share, targets, 0).astype(np.float32) for share in (0.6, 0.8))
    result = compare(task, targets, far, near, leader_id="probe", challenger_id="full")
    assert result.decision == "replaces" and result.low > 0
    assert result.sentence.startswith("full gains ") and " points of entity f1 [" in result.sentence
    repeats = compare(task, targets, np.stack([far, far]), near[None], leader_id="a", challenger_id="b")
    assert repeats.gain == pytest.approx(result.gain)
