"""What labels buy: curves with a known answer, and one of real photos."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from cutpoint.reports import format
from cutpoint.survey.labels_bench import Bench
from cutpoint.survey.labels_curve import labels_curve, multiple_of_scratch
from cutpoint.types import LabelsCurve, LabelsPoint, Score, Task

BINARY = Task(kind="binary", labels=("a", "b"))
MULTICLASS = Task(kind="multiclass", labels=("a", "b", "c"))


def blobs(count: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features that tell three classes well, the same hidden among many columns of noise, and the classes."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, count)
    clear = (2.5 * np.eye(3)[targets] + random.normal(size=(count, 3))).astype(np.float32)
    hidden = np.concatenate([clear, 2 * random.normal(size=(count, width))], axis=1).astype(np.float32)
    return clear, hidden, targets


def point(rows: int, transfer: float, without: float | None = None, metric: str = "accuracy") -> LabelsPoint:
    def score(value: float) -> Score:
        return Score(metric=metric, value=value, low=value - 0.05, high=value + 0.05, n=100)

    return LabelsPoint(
        share=rows / 1000,
        rows=rows,
        transfer=score(transfer),
        without=None if without is None else score(without),
    )


def curve(*points: LabelsPoint) -> LabelsCurve:
    return LabelsCurve(points=points, sentence="")


@pytest.fixture(scope="module")
def measured() -> LabelsCurve:
    clear, hidden, targets = blobs(1200, 60)
    found = labels_curve(clear, hidden, targets, MULTICLASS)
    assert found is not None
    return found


def test_shares_rise_and_transfer_leads(measured: LabelsCurve) -> None:
    assert [each.share for each in measured.points] == [0.1, 0.25, 0.5, 1.0]
    assert [each.rows for each in measured.points] == [96, 240, 480, 960]
    for each in measured.points:
        assert each.without is not None and each.transfer.value > each.without.value
        assert each.transfer.low < each.transfer.value < each.transfer.high and each.transfer.n == 240


def test_labels_saved_are_a_bound_where_the_curves_do_not_meet(measured: LabelsCurve) -> None:
    last = measured.points[-1].without
    assert last is not None and last.value < measured.points[0].transfer.value
    assert measured.multiple == 10 and measured.multiple_is_bound
    assert "even 10 times as many reach only" in measured.sentence


def test_a_solved_task_gains_nothing_from_more_labels(measured: LabelsCurve) -> None:
    assert measured.at_twice is not None
    assert measured.at_twice.value == pytest.approx(measured.points[-1].transfer.value, abs=0.02)
    assert measured.at_twice.low < measured.at_twice.value < measured.at_twice.high <= 1
    assert "would hardly pay" in measured.sentence or "is open" in measured.sentence


def test_the_sentence_tells_the_interval_that_the_chart_shows(measured: LabelsCurve) -> None:
    at_twice = measured.at_twice
    assert at_twice is not None
    assert f"expected to bring {format.score(at_twice)} ({format.interval(at_twice)})" in measured.sentence
    gain = re.search(r"a gain of \+(\S+) points \(\+?(\S+) to \+(\S+) points\)", measured.sentence)
    assert gain is not None
    paired = float(gain[3]) - float(gain[2].replace("\u2212", "-"))
    assert 0 < paired < 100 * (at_twice.high - at_twice.low)


def test_a_task_that_is_being_learned_gains_from_more_labels() -> None:
    _, hidden, targets = blobs(1000, 150)
    half = np.random.default_rng(5).permutation(1000)[:500]
    today = labels_curve(hidden[half], None, targets[half], MULTICLASS)
    later = labels_curve(hidden, None, targets, MULTICLASS)
    assert today is not None and later is not None and today.at_twice is not None
    assert today.multiple is None and today.points[0].without is None
    assert today.at_twice.value > today.points[-1].transfer.value + 0.01
    assert today.at_twice.low < later.points[-1].transfer.value < today.at_twice.high


def test_features_of_equal_worth_save_nothing() -> None:
    clear, _, targets = blobs(600, 5)
    found = labels_curve(clear, clear.copy(), targets, MULTICLASS)
    assert found is not None and found.multiple == 1 and not found.multiple_is_bound
    assert "transfer saves no labels" in found.sentence


def test_few_rows_are_all_judged_and_shares_without_examples_left_out() -> None:
    clear, hidden, targets = blobs(60, 5)
    found = labels_curve(clear, hidden, targets, MULTICLASS)
    assert found is not None
    assert [each.share for each in found.points] == [0.25, 0.5, 1.0]
    assert all(each.transfer.n == 60 for each in found.points)
    assert labels_curve(clear[:14], hidden[:14], targets[:14], MULTICLASS) is None


def test_errors_are_turned_the_right_way() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(300, 40)).astype(np.float32)
    targets = (features @ random.normal(size=40) + random.normal(size=300)).astype(np.float32)
    found = labels_curve(features, features[:, :3], targets, Task(kind="regression", metric="rmse"))
    assert found is not None and found.at_twice is not None
    first, last = found.points[0], found.points[-1]
    assert first.transfer.value > last.transfer.value > found.at_twice.value > 0
    assert found.multiple is not None and found.multiple_is_bound


def test_groups_stand_on_one_side() -> None:
    clear, _, targets = blobs(300, 5)
    groups = np.arange(300) // 6
    bench = Bench.of(targets, MULTICLASS, groups, 0)
    assert bench is not None
    for _, order, held in bench.draws:
        assert not set(groups[order]) & set(groups[held])
        halves = groups[order[: bench.rows_of(0.5)]], groups[order[bench.rows_of(0.5) :]]
        assert len(set(halves[0]) & set(halves[1])) <= 1
    assert labels_curve(clear, None, targets, MULTICLASS, groups=groups) is not None


def test_every_beginning_has_the_classes_in_their_shares() -> None:
    targets = np.repeat([0, 1, 2], [700, 200, 100])
    bench = Bench.of(targets, MULTICLASS, None, 0)
    assert bench is not None
    for _, order, _ in bench.draws:
        assert np.abs(np.bincount(targets[order[:80]]) - [56, 16, 8]).max() <= 1


def test_same_seed_same_curve() -> None:
    clear, hidden, targets = blobs(200, 10)
    one, same, other = (labels_curve(clear, hidden, targets, MULTICLASS, seed=s) for s in (1, 1, 2))
    assert one == same != other


def test_a_language_model_has_no_such_curve() -> None:
    task = Task(kind="language", metric="perplexity")
    assert labels_curve(np.zeros((50, 2), np.float32), None, np.zeros(50), task) is None


def test_a_metric_that_one_class_leaves_undefined() -> None:
    task = Task(kind="binary", labels=("a", "b"), metric="roc_auc")
    features = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    assert labels_curve(features, None, np.zeros(100, dtype=np.int64), task) is None


def test_multiple_of_scratch_is_read_off_the_curve() -> None:
    found = curve(point(100, 0.6), point(250, 0.7), point(1000, 0.8))
    scratch = point(1000, 0.7).transfer
    assert multiple_of_scratch(found, scratch) == pytest.approx(4)
    between = multiple_of_scratch(found, point(1000, 0.65).transfer)
    assert between == pytest.approx(1000 / np.sqrt(100 * 250))
    assert multiple_of_scratch(found, point(1000, 0.5).transfer) == pytest.approx(10)
    assert multiple_of_scratch(found, point(1000, 0.9).transfer) is None
    errors = curve(point(100, 3.0, metric="mae"), point(1000, 1.0, metric="mae"))
    assert multiple_of_scratch(errors, point(1000, 1.0, metric="mae").transfer) == pytest.approx(1)


@pytest.mark.slow
def test_photos_of_clothes(shared: Path, tmp_path: Path) -> None:
    """A small ImageNet network against statistics of colour and edges."""
    from cutpoint.backbones.load import load_backbone
    from cutpoint.backbones.vectors import statistics_backbone
    from cutpoint.data import load_dataset
    from cutpoint.features.bank import FeatureBank
    from cutpoint.features.store import ActivationCache

    data = load_dataset(shared / "data/vision/clothing10")
    rows, cache = data.splits["train"], ActivationCache(tmp_path, 1 << 30)
    network = load_backbone(str(shared / "weights/mobilenetv2_035_tm"), image_size=96)
    features, plain = (
        np.array(FeatureBank(backbone, data, rows, cache).pooled().final)
        for backbone in (network, statistics_backbone())
    )
    found = labels_curve(features, plain, data.targets[rows], data.task)
    assert found is not None and found.multiple is not None
    assert 2 < found.multiple < 8 and not found.multiple_is_bound
