"""The race end to end on small pictures and the embedded backbone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.backbones.builtin import load_builtin
from cutpoint.data import load_dataset
from cutpoint.errors import ArtifactError, BackboneError, CutpointError, RegimeError
from cutpoint.features.store import ActivationCache
from cutpoint.planning.plan import Entry
from cutpoint.planning.settings import Settings
from cutpoint.planning.watcher import Watcher
from cutpoint.race.race import Race
from cutpoint.race.run_folder import open_folder
from cutpoint.regimes import Phase, Regime, resolve_regimes
from cutpoint.types import Comparison, Result, Trial

BRIEF = Regime(
    name="brief-partial",
    phases=(Phase(train="head", solver="exact"), Phase(train="cut", rate=1e-3, epochs=2, decay=0.9)),
)
BRIEF_SCRATCH = Regime(
    name="brief-scratch", init="random", phases=(Phase(train="all", rate=1e-3, epochs=1, batchnorm="train"),)
)


def race(data: Path, out: Path, cache: Path, **options: Any) -> Result:
    chosen: dict[str, Any] = {
        "backbones": "builtin:glyphs",
        "regimes": ["linear-probe", BRIEF, BRIEF_SCRATCH],
        "cut": 4,
        "budget": "5m",
        "exhaustive": True,
        "threads": 1,
        "cache": cache,
    }
    return cp.fit(data, out=out, **{**chosen, **options})


def comparable(result: Result) -> dict[str, Any]:
    """The result without what the clock wrote."""
    content = json.loads(result.model_dump_json(exclude={"seconds", "run"}))
    for trial in content["trials"]:
        trial["predicted"] = trial["cost"] = None
        for epoch in (epoch for curve in trial["curves"] for epoch in curve):
            epoch["seconds"] = None
        trial["reason"] = trial["reason"].split(", and")[0]
    content["verdict"] = content["advice"] = content["audit"]["seconds"] = None
    return content


@pytest.fixture(scope="module")
def run(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("run")
    return race(stripes, folder / "out", folder / "cache"), folder


def test_result_holds_every_trial_with_interval_and_cost(run: tuple[Result, Path]) -> None:
    result, _ = run
    assert result.status == "finished"
    assert [trial.regime for trial in result.trials] == ["linear-probe", "brief-partial", "brief-scratch"]
    for trial in result.trials:
        assert (
            trial.validation is not None
            and trial.validation.low <= trial.validation.value <= trial.validation.high
        )
        cost = trial.cost
        assert (
            cost.seconds and cost.stored_bytes and cost.flops and cost.latency_ms and cost.peak_memory_bytes
        )
        assert cost.trainable_parameters and cost.total_parameters
        assert cost.trainable_parameters <= cost.total_parameters
    assert result.verdict is not None and result.winner in result.verdict.ship
    assert result.test is not None and result.test.n == 14
    assert len(result.layer_probe["builtin:glyphs"]) == 7


def test_dearer_regimes_store_more(run: tuple[Result, Path]) -> None:
    probe, partial, scratch = run[0].trials
    sizes = [trial.cost.stored_bytes or 0 for trial in (probe, partial, scratch)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert probe.cut == 7 and partial.cut == 4 and scratch.cut == 0


def test_report_and_model_stand_in_the_run_folder(run: tuple[Result, Path], stripes: Path) -> None:
    result, folder = run
    assert (folder / "out" / "report.html").stat().st_size > 10_000
    model = cp.load(folder / "out")
    picture = str(next((stripes / "flat").iterdir()))
    assert model.predict([picture])[0] in ("flat", "slanted", "upright")
    assert np.allclose(model.predict_proba([picture]).sum(), 1.0, atol=1e-5)
    assert model.embed([picture]).shape == (1, 192)
    assert result.best == str(folder / "out" / "model")


def test_finished_run_is_returned_at_once(run: tuple[Result, Path], stripes: Path) -> None:
    result, folder = run
    again = race(stripes, folder / "out", folder / "cache")
    assert again == result


def test_the_same_command_elsewhere_gives_the_same_result(
    run: tuple[Result, Path], stripes: Path, tmp_path: Path
) -> None:
    again = race(stripes, tmp_path / "out", tmp_path / "cache")
    assert comparable(again) == comparable(run[0])
    weights = [cp.load(place).network.state_dict() for place in (run[1] / "out", tmp_path / "out")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


class _Interrupts(Watcher):
    """Ctrl-C at the n-th step of any trial."""

    def __init__(self, after: int) -> None:
        self.left = after

    def on_trial_progress(self, planned: Any, done: float, note: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [3, 25, 60])
def test_interrupted_run_is_valid_and_goes_on_to_the_same_result(
    run: tuple[Result, Path], stripes: Path, tmp_path: Path, after: int
) -> None:
    stopped = race(stripes, tmp_path / "out", run[1] / "cache", watcher=_Interrupts(after))
    assert stopped.status == "interrupted"
    assert (tmp_path / "out" / "report.html").exists()
    resumed = race(stripes, tmp_path / "out", run[1] / "cache")
    assert resumed.status == "finished"
    assert comparable(resumed) == comparable(run[0])


def test_interruption_in_the_middle_of_a_step_goes_on_to_the_same_result(
    run: tuple[Result, Path], stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cutpoint.training.stepper import Stepper

    whole, steps = Stepper.step, [0]

    def interrupted(self: Stepper, *arguments: Any, **facts: Any) -> float:
        loss = whole(self, *arguments, **facts)
        steps[0] += 1
        if steps[0] == 9:  # the weights have moved, the step is not counted
            raise KeyboardInterrupt
        return loss

    monkeypatch.setattr(Stepper, "step", interrupted)
    assert race(stripes, tmp_path / "out", run[1] / "cache").status == "interrupted"
    monkeypatch.undo()
    assert comparable(race(stripes, tmp_path / "out", run[1] / "cache")) == comparable(run[0])


def test_other_settings_do_not_mix_with_an_earlier_run(run: tuple[Result, Path], stripes: Path) -> None:
    with pytest.raises(ArtifactError, match="other settings"):
        race(stripes, run[1] / "out", run[1] / "cache", seed=7)
    with pytest.raises(ArtifactError, match="other regimes"):
        race(stripes, run[1] / "out", run[1] / "cache", regimes=["linear-probe", BRIEF])
    with pytest.raises(ArtifactError, match="other metric"):
        race(stripes, run[1] / "out", run[1] / "cache", metric="f1_macro")


def test_a_finished_run_that_was_killed_before_its_report_gets_it(
    run: tuple[Result, Path], stripes: Path
) -> None:
    report = run[1] / "out" / "report.html"
    before = report.read_text(encoding="utf-8")
    report.write_text("of an earlier interruption", encoding="utf-8")
    race(stripes, run[1] / "out", run[1] / "cache")
    assert report.read_text(encoding="utf-8") == before


def test_a_run_that_was_killed_while_planning_goes_on(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cutpoint.race.race as module

    def killed(path: Path, record: Any) -> None:
        path.with_suffix(".partial").write_text("{")
        raise SystemExit

    monkeypatch.setattr(module, "write_record", killed)
    with pytest.raises(SystemExit):
        race(stripes, tmp_path / "out", tmp_path / "cache", regimes="linear-probe")
    monkeypatch.undo()
    assert race(stripes, tmp_path / "out", tmp_path / "cache", regimes="linear-probe").status == "finished"


def test_a_backbone_named_twice_is_refused(stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="named twice"):
        race(stripes, tmp_path / "out", tmp_path / "cache", backbones=["builtin:glyphs"] * 2)


def test_large_groups_do_not_hinder_the_first_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1500, 3))
    result = cp.fit(
        features,
        targets=np.where(features[:, 0] > 0, "yes", "no"),
        group=np.arange(1500) % 5,
        regimes="linear-probe",
        out=tmp_path / "out",
        threads=1,
    )
    assert result.status == "finished"


class Served(Watcher):
    """Notes whose model stands in RUN/model whenever a trial ends."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.seen: list[tuple[str, str]] = []

    def on_trial_end(self, trial: Trial, comparison: Comparison | None) -> None:
        card = json.loads((self.run / "model" / "cutpoint.json").read_text(encoding="utf-8"))
        self.seen.append((trial.regime, card["description"]["name"].split(" on ")[0]))


def test_hand_made_features_do_not_replace_the_first_model_before_the_network_had_its_turn(
    stripes: Path, tmp_path: Path
) -> None:
    both = ["image-statistics", "linear-probe"]
    served = Served(tmp_path / "out")
    race(stripes, tmp_path / "out", tmp_path / "cache", regimes=both, watcher=served, min_gain=1.0)
    assert served.seen == [("image-statistics", "First model"), ("linear-probe", "First model")]
    card = json.loads((tmp_path / "out" / "model" / "cutpoint.json").read_text(encoding="utf-8"))
    assert card["description"]["name"].startswith("image-statistics")
    alone = Served(tmp_path / "alone")
    result = race(
        stripes, tmp_path / "alone", tmp_path / "cache", regimes=both, watcher=alone, target="accuracy>=0"
    )
    assert [trial.status for trial in result.trials] == ["finished", "skipped"]
    card = json.loads((tmp_path / "alone" / "model" / "cutpoint.json").read_text(encoding="utf-8"))
    assert card["description"]["name"].startswith("image-statistics")


def test_a_folder_that_is_no_run_is_left_alone(stripes: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="holds no run"):
        race(stripes, tmp_path, tmp_path / "cache", restart=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_target_stops_the_race(stripes: Path, tmp_path: Path) -> None:
    result = race(stripes, tmp_path / "out", tmp_path / "cache", target="accuracy>=0.4")
    assert [trial.status for trial in result.trials] == ["finished", "skipped", "priced"]
    assert all("target" in trial.reason for trial in result.trials[1:])
    with pytest.raises(CutpointError, match="judged by 'accuracy'"):
        race(stripes, tmp_path / "other", tmp_path / "cache", target="f1_macro>=0.4")


def test_budget_holds_and_skipped_trials_say_why(stripes: Path, tmp_path: Path) -> None:
    long = BRIEF.model_copy(
        update={"name": "long", "phases": (BRIEF.phases[1].model_copy(update={"epochs": 5000}),)}
    )
    result = race(stripes, tmp_path / "out", tmp_path / "cache", regimes=["linear-probe", long], budget="20s")
    probe, skipped = result.trials
    assert probe.status == "finished" and skipped.status == "skipped"
    assert "budget" in skipped.reason and (skipped.predicted.seconds or 0) > 20


def test_clock_that_binds_is_journaled_and_replayed(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cutpoint.race.race as module

    monkeypatch.setattr(module.ActiveClock, "tick", lambda self: 1e9)
    first = race(stripes, tmp_path / "out", tmp_path / "cache")
    monkeypatch.undo()
    assert [trial.status for trial in first.trials] == ["finished", "interrupted", "priced"]
    (tmp_path / "out" / "result.json").unlink()
    again = race(stripes, tmp_path / "out", tmp_path / "cache")
    assert [trial.status for trial in again.trials] == ["finished", "interrupted", "priced"]


def test_parameters_that_trained_are_counted_and_not_those_that_might_have(
    stripes: Path, tmp_path: Path
) -> None:
    probe_first = Phase(train="head", solver="exact")
    one_more = Phase(train="all", one_block_at_a_time=True, until_plateau=True, epochs=1, rate=1e-12)
    biases = Regime(name="biases", phases=(Phase(train="*.bias", rate=1e-3, epochs=1),))
    result = race(
        stripes,
        tmp_path / "out",
        tmp_path / "cache",
        regimes=["linear-probe", Regime(name="plateau", phases=(probe_first, one_more)), biases],
    )
    trials = {trial.id: trial for trial in result.trials}
    counts = {name: trial.cost.trainable_parameters or 0 for name, trial in trials.items()}
    assert trials["plateau"].cut == 7 and counts["plateau"] == counts["linear-probe"]
    total = trials["biases"].cost.total_parameters or 0
    assert counts["linear-probe"] < counts["biases"] < total / 10
    assert trials["biases"].cut_name == "*.bias in everything"


def test_three_examples_a_class_suffice_for_every_trial(stripes: Path, tmp_path: Path) -> None:
    tiny = tmp_path / "tiny"
    for picture in stripes.glob("*/[012].png"):
        (tiny / picture.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, tiny / picture.parent.name)
    phase = Phase(train="cut", epochs=2)  # its rate is chosen by short runs
    result = race(tiny, tmp_path / "out", tmp_path / "cache", regimes=[Regime(name="open", phases=(phase,))])
    assert [trial.status for trial in result.trials] == ["finished"]


def test_backbones_are_moved_to_the_device_before_features_are_computed(
    stripes: Path, tmp_path: Path
) -> None:
    backbone = load_builtin()
    Race(
        load_dataset(stripes),
        [Entry(backbone, resolve_regimes("linear-probe"))],
        Settings(device="meta"),
        open_folder(tmp_path / "out"),
        cache=ActivationCache(tmp_path / "cache"),
        versions={},
        watcher=Watcher(),
    )
    assert {parameter.device.type for parameter in backbone.module.parameters()} == {"meta"}


def test_damaged_model_is_named(run: tuple[Result, Path], tmp_path: Path) -> None:
    shutil.copytree(run[1] / "out" / "model", tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ArtifactError, match="not what was saved"):
        cp.load(tmp_path / "model")


def test_evaluate_scores_on_labelled_data(run: tuple[Result, Path], stripes: Path) -> None:
    found = cp.evaluate(run[1] / "out", stripes)
    assert found.n == 72 and found.value > 0.5


def test_plain_features_race_heads_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 6))
    labels = np.where(features[:, 0] + 0.3 * rng.normal(size=120) > 0, "yes", "no")
    result = cp.fit(features, targets=labels, out=tmp_path / "out", budget="2m", threads=1)
    assert {trial.regime for trial in result.trials} == {
        "linear-probe",
        "mlp-head",
        "gradient-boosting",
    }
    assert result.test is not None and result.test.value > 0.8
    assert set(cp.load(tmp_path / "out").predict(features[:5])) <= {"yes", "no"}
    with pytest.raises(RegimeError, match="no backbone to train"):
        cp.fit(features, targets=labels, out=tmp_path / "other", regimes="partial", threads=1)


@pytest.mark.parametrize("name", ["linear-probe", "mlp-head"])
def test_small_columns_count_beside_large_ones(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    features = np.stack([1e8 * rng.normal(size=120), labels + 0.1 * rng.normal(size=120)], axis=1)
    named = np.array(["no", "yes"])[labels]
    result = cp.fit(features, targets=named, out=tmp_path / "out", regimes=name, threads=1)
    assert result.test is not None and result.test.value > 0.95


@pytest.mark.parametrize("kind", ["regression", "multilabel"])
def test_other_tasks_run_through_the_same_race(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(160, 5))
    targets: Any = (features[:, 0] * 3 + 0.1 * rng.normal(size=160)).tolist()
    if kind == "multilabel":
        targets = [[name for name, on in zip("ab", row[:2] > 0, strict=True) if on] for row in features]
    result = cp.fit(features, targets=targets, task=kind, out=tmp_path / "out", budget="2m", threads=1)
    assert result.task.kind == kind
    assert result.test is not None and result.test.value > 0.8


def test_evaluate_needs_no_more_than_labels_that_the_model_knows(
    run: tuple[Result, Path], stripes: Path, tmp_path: Path
) -> None:
    one = tmp_path / "few" / "flat"
    one.mkdir(parents=True)
    shutil.copy(stripes / "flat" / "0.png", one / "a.png")
    said: list[str] = []
    assert cp.evaluate(run[1] / "out", tmp_path / "few", on_message=said.append).n == 1
    assert "flatters" in said[0]
    one.rename(tmp_path / "few" / "round")
    with pytest.raises(CutpointError, match=r"does not know: .*round"):
        cp.evaluate(run[1] / "out", tmp_path / "few")
