"""From a plan to advice: the labels curve, what limits exclude, and texts that carry answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutpoint.backbones.builtin import load_builtin
from cutpoint.data import load_dataset
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.planning.entries import hand_made
from cutpoint.planning.judging import plan_judging
from cutpoint.planning.make_plan import make_plan
from cutpoint.planning.plan import Entry, Plan
from cutpoint.planning.settings import Settings
from cutpoint.planning.watcher import Watcher
from cutpoint.regimes import resolve_regimes
from cutpoint.survey.advising import advise_on_plan
from cutpoint.types import Circumstances, Dataset, Limits

Banks = dict[str, FeatureBank]


@pytest.fixture(scope="module")
def data(stripes: Path) -> Dataset:
    return load_dataset(str(stripes))


def planned(data: Dataset, cache: Path, rows: np.ndarray, settings: Settings) -> tuple[Plan, Banks]:
    entries = [Entry(load_builtin(), resolve_regimes(["linear-probe", "full", "scratch"])), hand_made(data)]
    banks = {
        entry.backbone.name: FeatureBank(entry.backbone, data, rows, ActivationCache(cache))
        for entry in entries
    }
    judging = plan_judging(data, settings)
    plan = make_plan(entries, banks, judging=judging, settings=settings, versions={}, watcher=Watcher())
    return plan, banks


def test_advice_is_about_the_network_and_compares_labels_with_hand_made_features(
    data: Dataset, tmp_path: Path
) -> None:
    plan, banks = planned(data, tmp_path, data.splits["train"], Settings())
    advice = advise_on_plan(plan, banks)
    assert advice.axes.backbone == "builtin:glyphs"
    assert set(advice.axes.predicted) == {"linear-probe", "full", "scratch"}
    assert advice.labels is not None and advice.labels.points[-1].share == 1.0
    assert all(point.without is not None for point in advice.labels.points)
    assert "backbones-compared" not in {finding.code for finding in advice.findings}


def test_no_curve_where_not_all_labels_are_at_hand(data: Dataset, tmp_path: Path) -> None:
    plan, banks = planned(data, tmp_path, data.splits["train"][:-1], Settings())
    assert advise_on_plan(plan, banks).labels is None


def test_what_a_limit_took_from_the_plan_is_told_and_priced(data: Dataset, tmp_path: Path) -> None:
    settings = Settings(limits=Limits(max_stored_bytes=100_000), circumstances=Circumstances(tasks=2))
    plan, banks = planned(data, tmp_path, data.splits["train"], settings)
    advice = advise_on_plan(plan, banks)
    assert {trial.id for trial in advice.excluded} == {"full", "scratch"}
    assert advice.axes.predicted["full"].seconds is not None
    assert advice.recommended == "linear-probe"
    assert advice.axes.circumstances.tasks == 2 and "2 tasks store" in advice.upkeep[0]


def test_a_latency_limit_rules_out_every_trial_of_a_slow_backbone(data: Dataset, tmp_path: Path) -> None:
    plan, banks = planned(data, tmp_path, data.splits["train"], Settings(limits=Limits(max_latency_ms=1e-6)))
    advice = advise_on_plan(plan, banks)
    assert {trial.id for trial in advice.excluded} == {"linear-probe", "full", "scratch"}
    states = {item.text: item.state for item in advice.checklist}
    assert states["room for a fine-tune"] == "warning"
