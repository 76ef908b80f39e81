"""The whole advice, and its parts: bands, kinds, checklist, upkeep, the default mistake."""

from __future__ import annotations

from typing import Any

import pytest

from cutpoint.advice.advise import advise
from cutpoint.advice.bands import data_band, distance_band
from cutpoint.advice.checklist import checklist
from cutpoint.advice.forced_full import forced_full_on_little_data
from cutpoint.advice.kinds import transfer_kind
from cutpoint.advice.upkeep import upkeep
from cutpoint.types import Advice, Audit, Circumstances, Finding, LabelsCurve, Limits, Provenance


@pytest.mark.parametrize(
    ("distance", "band"),
    [
        (None, None),
        (0.0, "close"),
        (0.3, "related"),
        (0.5, "distant"),
        (0.79, "distant"),
        (0.8, "very distant"),
    ],
)
def test_distance_bands(situation: Any, distance: float | None, band: str | None) -> None:
    assert distance_band(situation(distance=distance).axes) == band


@pytest.mark.parametrize(
    ("distance", "shift", "band"),
    [
        (0.4, 0.5, "distant"),
        (0.4, 0.49, "related"),
        (0.2, 0.9, "close"),
        (0.6, 0.1, "distant"),
        (0.9, 0.9, "very distant"),
    ],
)
def test_the_sources_statistics_move_what_is_related(
    situation: Any, distance: float, shift: float, band: str
) -> None:
    axes = situation(distance=distance, to_source={"batchnorm-frechet": shift}).axes
    assert distance_band(axes) == band


@pytest.mark.parametrize(
    ("per_class", "words"),
    [
        (19, "below the field's bands"),
        (20, "usable signal"),
        (50, "between"),
        (100, "strong"),
        (1000, "above"),
    ],
)
def test_data_bands(situation: Any, per_class: int, words: str) -> None:
    sentence = data_band(situation(per_class=float(per_class)).axes)
    assert words in sentence and sentence.startswith(f"{per_class:,} examples a class")


def test_a_tiny_class_is_told_beside_the_band(situation: Any) -> None:
    assert "smallest class has 7" in data_band(situation(per_class=200.0, smallest_class=7).axes)
    assert "here are none" in data_band(situation(per_class=None).axes)


def test_kinds_are_named_from_what_was_supplied(situation: Any) -> None:
    def named(**circumstances: Any) -> str:
        return transfer_kind(situation(circumstances=Circumstances(**circumstances)))

    assert named().startswith("Inductive transfer") and "domain adaptation" not in named()
    assert "domain adaptation" in named(unlabelled="more/") and "does not train on it" in named(
        unlabelled="more/"
    )
    assert "multitask" in named(other_task="other/")
    assert "transductive" in named(unlabelled="more/", other_task="other/")
    assert "transductive" not in named(unlabelled="more/")
    assert transfer_kind(situation(has_answers=False)).startswith("Unsupervised transfer")


def states(situation: Any, **given: Any) -> dict[str, str]:
    return {item.text: item.state for item in checklist(situation(**given))}


def test_checklist_of_a_sound_start(situation: Any) -> None:
    found = states(situation, audit=Audit(checked=("duplicates",)))
    assert set(found.values()) == {"done"} and len(found) == 8


@pytest.mark.parametrize(
    ("given", "text", "state"),
    [
        ({}, "data audited", "open"),
        ({"is_test_given": False}, "a test split of your own", "open"),
        ({"imbalance": 3.0}, "the metric fits the balance of classes", "warning"),
        ({"imbalance": 3.0, "metric": "f1_macro"}, "the metric fits the balance of classes", "done"),
        ({"is_own_preprocessing": False}, "preprocessing is the backbone's own", "warning"),
        ({"provenance": Provenance()}, "licence and training data of the backbone are known", "warning"),
        ({"smallest_class": 19}, "20 or more examples of every class", "warning"),
        ({"budget_seconds": 60.0}, "the budget holds at least one fine-tune", "done"),
        ({"budget_seconds": 59.0}, "the budget holds at least one fine-tune", "warning"),
        ({"limits": Limits(max_stored_bytes=1)}, "limits leave something to ship", "warning"),
        ({"limits": Limits(max_stored_bytes=60_000)}, "room for a fine-tune", "warning"),
    ],
)
def test_checklist(situation: Any, given: dict[str, Any], text: str, state: str) -> None:
    assert states(situation, **given)[text] == state


def test_findings_of_an_audit_are_counted(situation: Any) -> None:
    finding = Finding(code="leak", severity="error", text="One picture stands in two splits.")
    found = states(situation, audit=Audit(checked=("leak",), findings=(finding,)))
    assert found["data audited and clean"] == "warning"


def test_leaks_are_told_with_what_a_fit_makes_of_them(situation: Any) -> None:
    leak = Finding(code="leak", severity="error", text="One picture stands in two splits.")
    item = checklist(situation(audit=Audit(checked=("leak",), findings=(leak,))))[0]
    assert "a fit stops there" in item.detail and "--fix" in item.detail


def test_upkeep_prices_storage_and_retraining(situation: Any) -> None:
    monthly = Circumstances(tasks=100, retrain="monthly")
    told = {line.partition(":")[0]: line for line in upkeep(situation(circumstances=monthly))}
    # 20 MB of the base and 100 heads of 50 kB; 2 s × 100 tasks × 12 months.
    assert "100 tasks store 25.0 MB (50.0 kB each, the base of 20.0 MB once)" in told["linear-probe"]
    assert "retrained monthly, 40 minutes of training a year" in told["linear-probe"]
    assert "66.7 hours" in told["full"]
    once = upkeep(situation())[0]
    assert "1 task store" in once and "trained once, 2 seconds in all" in once


def test_excluded_trials_have_reasons_and_no_upkeep(situation: Any) -> None:
    advice = advise(situation(limits=Limits(max_stored_bytes=2_000_000)))
    assert {trial.id for trial in advice.excluded} == {"full", "scratch"}
    assert all("20.0 MB" in trial.reason and trial.status == "skipped" for trial in advice.excluded)
    assert not any(line.startswith("full") for line in advice.upkeep)


def test_advice_is_a_record_that_survives_json(situation: Any) -> None:
    advice = advise(situation(distance=0.6, rows=2000))
    assert Advice.model_validate_json(advice.model_dump_json()) == advice
    assert advice.recommended == "partial" and "distant" in advice.measured
    assert [outcome.rule_set for outcome in advice.rules] == ["A", "B", "C", "D", "E", "all"]
    (price,) = (finding for finding in advice.findings if finding.code == "scratch-price")
    assert "300 s" in price.text and "1.00 GB" in price.text and "2,000" in price.text


def test_from_scratch_is_priced_with_the_measured_multiple_of_labels(situation: Any) -> None:
    curve = LabelsCurve(points=(), multiple=12.0, sentence="")
    (price,) = (f for f in advise(situation(labels=curve)).findings if f.code == "scratch-price")
    assert "12.0 times the labels" in price.text


def test_hard_and_distant_are_told_apart_by_the_sources_statistics(situation: Any) -> None:
    def measured(distance: float, shift: float) -> str:
        return advise(situation(distance=distance, to_source={"batchnorm-frechet": shift})).measured

    assert "hard rather than distant" in measured(0.6, 0.2)
    assert "yet its features serve" in measured(0.1, 0.7)
    assert "lack is the domain" in measured(0.4, 0.7) and "distant" in measured(0.4, 0.7)
    assert "source" not in measured(0.1, 0.2)


def test_rows_of_numbers_are_told_that_nothing_transfers(situation: Any) -> None:
    advice = advise(situation(modality="features", distance=None, parameters=0, priced=()))
    assert advice.recommended == "gradient-boosting"
    assert "no-backbone-fits" in {finding.code for finding in advice.findings}


def test_strong_imbalance_enters_the_advice(situation: Any) -> None:
    codes = {finding.code for finding in advise(situation(imbalance=10.0, smallest_class=12)).findings}
    assert "imbalance-raises-risk" in codes
    assert "imbalance-raises-risk" not in {f.code for f in advise(situation(imbalance=9.9)).findings}


@pytest.mark.parametrize(
    ("named", "rows", "per_class", "warns"),
    [
        (["full"], 990, 99.0, True),
        (["full"], 1000, 100.0, False),
        (["full", "linear-probe"], 990, 99.0, False),
        ([], 990, 99.0, False),
        (["full"], 4999, None, True),
        (["full"], 5000, None, False),
    ],
)
def test_forced_full_on_little_data(
    named: list[str], rows: int, per_class: float | None, warns: bool
) -> None:
    finding = forced_full_on_little_data(named, {"full"}, rows=rows, per_class=per_class)
    assert (finding is not None) is warns
    if finding is not None:
        assert finding.code == "forced-full-on-little-data" and "default mistake" in finding.text
