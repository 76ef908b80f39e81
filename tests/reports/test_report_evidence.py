"""What the report says of audit, advice, labels, backbones, screening and proofs, where they are recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sample_evidence
import sample_result
from page_text import Page

from cutpoint.reports import result_text, write_report
from cutpoint.reports.data_audit import audit_section
from cutpoint.reports.forecast import accuracy_in_words, outcomes, prices
from cutpoint.reports.ladder import ladder_of
from cutpoint.reports.rules import agreement_in_words, rule_rows
from cutpoint.reports.scorecard import scorecard
from cutpoint.reports.transferability import transferability
from cutpoint.reports.trust import first_cuts_in_words, frozen_proofs, luck_in_words
from cutpoint.types import Cost, Exhibit, Finding, Result

RunFolder = Callable[[Result], Path]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a result with every record."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "result.json").write_text(sample_evidence.with_evidence().model_dump_json(), encoding="utf-8")
    return Page(write_report(folder).read_text(encoding="utf-8"))


def changed(**update: object) -> Result:
    return sample_evidence.with_evidence().model_copy(update=update)


def test_what_was_not_recorded_has_no_section(run_folder: RunFolder) -> None:
    page = Page(write_report(run_folder(sample_result.ten_classes())).read_text(encoding="utf-8"))
    assert not {"audit", "advice", "labels", "backbones", "screening"} & set(page.ids)
    assert "frozen part stay frozen" not in page.text and "cost what was predicted" not in page.text
    assert "rule set" not in result_text(sample_result.ten_classes())


def test_the_contents_name_every_section_and_lead_to_it(full: Page) -> None:
    assert {address.removeprefix("#") for address in full.addresses if address.startswith("#")} <= set(
        full.ids
    )
    for section in ("audit", "advice", "labels", "trust", "backbones", "trials"):
        assert f"#{section}" in full.addresses


def test_the_review_is_made_through_the_network_though_hand_made_features_win() -> None:
    result = sample_evidence.with_evidence()
    network = result.backbones[sample_evidence.NETWORK].model_copy(update={"path": "my models/net"})
    baseline = network.model_copy(update={"name": "builtin:tfidf", "kind": "builtin", "path": None})
    winner = result.trials[0].model_copy(update={"id": "tf-idf", "backbone": baseline.name})
    section = audit_section(
        result.model_copy(
            update={
                "backbones": {baseline.name: baseline, sample_evidence.NETWORK: network},
                "trials": (winner, *result.trials[1:]),
                "winner": winner.id,
            }
        )
    )
    assert section is not None
    assert section.review.endswith("--backbone 'my models/net' --review labels.csv")
    assert section.refit.endswith("--backbone 'my models/net' --labels labels.csv")


def test_the_audit_shows_findings_gravest_first_with_their_exhibits(full: Page) -> None:
    audit = sample_evidence.audit()
    places = [full.text.index(finding.text) for finding in audit.findings]
    assert places[2] < places[1] < places[0]  # error, warning, note
    for words in (
        "found 1 error, 1 warning, 1 note",
        "train: same pixels as test/longsleeve/0172.jpg",
        "Write a new split with --fix",
        "3 more in result.json",  # of eleven exhibits eight are shown
        "not checked: shift the test split has fewer than 50 examples",
        "near duplicates",
    ):
        assert words in full.text, words


def test_wrong_labels_are_listed_with_the_way_to_correct_them(full: Page) -> None:
    assert "train/dress/0007.jpg dress → skirt < 1 % 97 %" in full.text
    assert "cutpoint audit clothing/ --backbone mobilenetv2_100_coral --review labels.csv" in full.text
    assert "cutpoint fit clothing/ --backbone mobilenetv2_100_coral --labels labels.csv" in full.text


def test_a_source_with_spaces_is_quoted_in_commands(run_folder: RunFolder) -> None:
    data = sample_result.ten_classes().data.model_copy(update={"source": "my photos"})
    text = Page(write_report(run_folder(changed(data=data))).read_text(encoding="utf-8")).text
    assert "cutpoint fit 'my photos' --backbone mobilenetv2_100_coral --labels labels.csv" in text


def test_large_or_foreign_exhibits_do_not_swell_the_page(run_folder: RunFolder) -> None:
    large = "data:image/jpeg;base64," + "A" * 300_000
    exhibits = (
        *(Exhibit(name=f"{number}.jpg", thumbnail=large) for number in range(4)),
        Exhibit(name="spy.jpg", thumbnail="https://example.com/a.png"),
    )
    found = Finding(code="x", severity="warning", text="Large pictures.", exhibits=exhibits)
    audit = sample_evidence.audit().model_copy(update={"findings": (found,)})
    text = write_report(run_folder(changed(audit=audit))).read_text(encoding="utf-8")
    assert text.count(large) == 2 and "3.jpg" in text
    assert "example.com" not in text and "spy.jpg" in text
    assert len(text.encode()) < 2_500_000


def test_each_rule_set_is_held_against_the_race() -> None:
    result = sample_evidence.with_evidence()
    rows = {row.outcome.rule_set: row for row in rule_rows(result)}
    assert {name: row.agreement for name, row in rows.items()} == {
        "A": "other",
        "B": "other",
        "C": "among",
        "D": "first",
        "E": "other",
        "all": "silent",
    }
    assert rows["A"].words == "no: mlp-head reached 82.1 %, −3.2 points against the one that ships"
    assert rows["E"].words == "no: lora was not in this race"
    assert "1 recommended it first (D)" in agreement_in_words(result)
    assert "3 recommended something else (A, B, E)" in agreement_in_words(result)


def test_without_a_winner_no_rule_is_right_or_wrong() -> None:
    result = changed(winner=None)
    assert {row.agreement for row in rule_rows(result)} == {"open", "silent"}
    assert agreement_in_words(result) == ""


def test_advice_is_shown_with_path_price_and_limits(full: Page) -> None:
    advice = sample_evidence.advice()
    for words in (
        advice.measured,
        advice.agreement,
        advice.band,
        advice.transfer_kind,
        *(step.question for step in advice.path),
        "Start with partial and so the race chose",
        "scratch 1 h 30 min, over budget",
        "qlora 30 ms a photo is above --max-latency 25ms",
        "1 of 3 done",
        "2 test photos leak",
        *advice.upkeep,
        "12 tasks, retrained monthly",
        "an error costs trust",
        "10 of 12 priced regimes fit",
        "largest class 7.2 times the smallest",
        "a linear head on frozen features: 79.0 %",
    ):
        assert words.replace("\u00a0", " ") in full.text.replace("\u00a0", " "), words


def test_the_scorecard_runs_from_end_to_end() -> None:
    axes = sample_evidence.advice().axes
    few = axes.model_copy(update={"rows": 3, "distance": 1.2, "budget_seconds": 1.0})
    cards = scorecard(few, [Cost(seconds=5.0), Cost(seconds=0.5)], "accuracy")
    assert [card.share for card in cards] == [0.0, 1.0, 0.5, 0.5]
    unknown = scorecard(axes.model_copy(update={"distance": None}), [], "accuracy")
    assert unknown[1].share is None and unknown[1].words == "not measured"
    assert "nothing was priced" in unknown[2].words


def test_code_in_a_sentence_is_set_as_code(run_folder: RunFolder) -> None:
    advice = sample_evidence.advice().model_copy(
        update={"transfer_kind": "Inductive: `cutpoint <b> fit` runs it."}
    )
    text = write_report(run_folder(changed(advice=advice))).read_text(encoding="utf-8")
    assert "Inductive: <code>cutpoint &lt;b&gt; fit</code> runs it." in text


def test_the_labels_curve_says_what_more_labels_bring(full: Page, run_folder: RunFolder) -> None:
    assert sample_evidence.labels_curve().sentence in full.text.replace("\u00a0", " ")
    assert "200 % extrapolated 82.7 %" in full.text
    assert "at least 10 times the labels" in full.text and "without transfer" in full.text
    bare = Page(write_report(run_folder(sample_evidence.evidence_on_texts())).read_text(encoding="utf-8"))
    assert "extrapolated" not in bare.text and "10 times the labels" not in bare.text


def test_prices_hold_what_ran_and_what_was_only_priced() -> None:
    rows = {price.name: price for price in prices(sample_evidence.with_evidence())}
    assert rows["full"].measured == 411.0 and rows["scratch"].measured is None
    assert not rows["scratch"].fits and rows["full"].fits
    assert list(rows)[-1] in ("scratch", "from-scratch")


def test_predicted_costs_are_held_against_measured_ones() -> None:
    rows = outcomes(sample_evidence.with_evidence())
    seconds, memory, stored = accuracy_in_words(rows)
    # Ratios .45, .8, 1.1, 1.2, 1.3 and three of 2.6: the median is between 1.2 and 1.3.
    assert seconds.startswith(
        "Seconds: measured 1.25× the prediction in the median of 8 trials, 2.60× at worst"
    )
    assert memory.startswith("Memory: measured 1.60× the prediction in the median of 8")
    assert stored == "Stored bytes: as predicted in 8 trials."
    assert outcomes(sample_result.ten_classes()) == ()


def test_measured_memory_says_nothing_of_small_fits() -> None:
    result = sample_evidence.with_evidence()
    small = tuple(
        trial.model_copy(
            update={"predicted": trial.predicted.model_copy(update={"peak_memory_bytes": 1000 + number})}
        )
        for number, trial in enumerate(result.trials)
    )
    sentences = accuracy_in_words(outcomes(result.model_copy(update={"trials": small})))
    assert not any("Memory" in sentence for sentence in sentences)


def test_the_worst_prediction_may_be_one_that_was_too_high() -> None:
    result = sample_evidence.with_evidence()
    kept = tuple(t for t in result.trials if t.id in ("mlp-head", "partial@17", "partial@14"))
    assert (
        "0.45× at worst (mlp-head)"
        in accuracy_in_words(outcomes(result.model_copy(update={"trials": kept})))[0]
    )


def test_scores_of_backbones_are_held_against_the_race(full: Page) -> None:
    found = transferability(sample_evidence.with_evidence())
    assert found is not None and found.raced == 2
    assert found.candidates[0].backbone == sample_result.NETWORK
    assert all(score.picked_best and score.tau == pytest.approx(1.0) for score in found.scores)
    assert "thin evidence" in full.text and "LogME best block" in full.text
    assert transferability(sample_result.ten_classes()) is None


def test_a_score_that_misleads_is_called_so() -> None:
    result = sample_evidence.with_evidence()
    rows = tuple(row.model_copy(update={"logme": 9.0}) for row in result.layer_probe[sample_evidence.SECOND])
    found = transferability(changed(layer_probe={**result.layer_probe, sample_evidence.SECOND: rows}))
    assert found is not None
    scores = {score.name: score for score in found.scores}
    assert scores["LogME, last block"].tau == pytest.approx(-1.0)
    assert scores["LogME, last block"].picked_best is False
    assert scores["H-score, last block"].picked_best is True


def test_random_weights_do_not_count_for_a_backbone() -> None:
    result = sample_evidence.with_evidence()
    scratch = result.trial("vit/linear-probe").model_copy(
        update={"id": "vit/scratch", "regime": "scratch", "validation": sample_result.score_of(0.99)}
    )
    found = transferability(result.model_copy(update={"trials": (*result.trials, scratch)}))
    assert found is not None
    best = {candidate.backbone: candidate.best.id for candidate in found.candidates if candidate.best}
    assert best[sample_evidence.SECOND] == "vit/linear-probe"


def test_luck_is_told_in_points(full: Page) -> None:
    first, second = luck_in_words(sample_evidence.with_evidence())
    assert "85.3 % on validation and 84.8 % on the test examples (−0.5 points), inside" in first
    assert "9 trials looked" in second and "about 0.4 points" in second
    assert first in full.text.replace("\u00a0", " ")
    assert len(luck_in_words(changed(optimism=None))) == 1
    assert luck_in_words(changed(winner=None)) == ()


def test_luck_where_less_is_better() -> None:
    result = sample_result.regression_by_error().model_copy(update={"looks": 3, "optimism": 0.15})
    assert luck_in_words(result)[-1].startswith("3 trials looked")
    assert "about 0.15;" in luck_in_words(result)[-1]


def test_frozen_tensors_are_proven_by_their_fingerprint(full: Page) -> None:
    proofs = frozen_proofs(sample_evidence.with_evidence())
    assert proofs is not None and proofs.sentence in full.text
    assert f"partial@17 221 {17:032x} 40" in full.text
    assert frozen_proofs(sample_result.ten_classes()) is None


def test_the_first_proposed_cut_is_judged_only_where_cuts_raced() -> None:
    result = sample_evidence.with_evidence()
    assert "the best of the cuts raced in 1 of 1 comparison" in first_cuts_in_words(result)
    worse = tuple(
        t.model_copy(update={"validation": sample_result.score_of(0.8)}) if t.id == "partial@17" else t
        for t in result.trials
    )
    assert "in 0 of 1 comparison" in first_cuts_in_words(result.model_copy(update={"trials": worse}))
    alone = tuple(t for t in result.trials if t.id != "partial@14")
    assert first_cuts_in_words(result.model_copy(update={"trials": alone})) == ""
    given = result.model_copy(update={"settings": {"cut": 14}})
    assert first_cuts_in_words(given) == ""


def test_the_ladder_shows_how_far_each_trial_came(full: Page) -> None:
    ladder = ladder_of(sample_evidence.with_evidence())
    assert ladder is not None and ladder.looks == ((0, 10), (1, 33), (1, 66))
    assert [row.label for row in ladder.rows] == ["partial@17", "full", "lora"]
    assert [sum(cell is not None for cell in row.cells) for row in ladder.rows] == [3, 2, 1]
    assert ladder.summary.startswith("3 trials were looked at 6 times before training to the end")
    assert ladder.summary.endswith("the short runs in 57 s; 1 was let finish.")
    assert "at most 80.1 % expected, and the leader has 85.3 %" in full.text.replace("\u00a0", " ")
    assert ladder_of(sample_result.ten_classes()) is None


def test_the_terminal_tells_audit_and_rules_in_a_few_lines() -> None:
    text = result_text(sample_evidence.with_evidence())
    joined = " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100
    assert "Error: 2 test photos stand in the training split too. Write a new split" in joined
    assert "The largest class has 7.2 times" not in joined  # a note is left to the report
    assert agreement_in_words(sample_evidence.with_evidence()) in joined


def test_a_long_finding_takes_two_lines_of_the_terminal() -> None:
    found = Finding(code="x", severity="warning", text="Far too many words. " * 40)
    audit = sample_evidence.audit().model_copy(update={"findings": (found,)})
    text = result_text(changed(audit=audit))
    lines = [line for line in text.splitlines() if "Far too many words" in line]
    assert len(lines) == 2 and lines[1].endswith("…")


def test_a_remedy_that_does_not_fit_leaves_the_terminal_to_the_finding() -> None:
    found = Finding(
        code="x", severity="error", text="52 of 139 test examples leak. " * 5, remedy="Write splits. " * 9
    )
    audit = sample_evidence.audit().model_copy(update={"findings": (found,)})
    text = result_text(changed(audit=audit))
    assert "52 of 139" in text and "Write splits" not in text and "…" not in text
