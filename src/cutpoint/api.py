"""The public verbs. Each is a few lines that call the rooms."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.artifacts import change_of_scores, load_model, merge_model, save_model
from cutpoint.audit import Repair, examine_content, write_splits
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.data import load_dataset, load_known
from cutpoint.data.corrected import apply_corrections
from cutpoint.data.progress import Progress
from cutpoint.data.summary import describe
from cutpoint.engines.names import EngineRequest, check_installed
from cutpoint.errors import ArtifactError, DataError
from cutpoint.evaluation.intervals import score
from cutpoint.features.store import DEFAULT_LIMIT, ActivationCache
from cutpoint.model import Model
from cutpoint.planning.entries import (
    audience_of,
    check_places,
    entries_for,
    is_automatic,
    readout_for,
    with_controls,
)
from cutpoint.planning.plan import Plan
from cutpoint.planning.requested import Requested
from cutpoint.planning.settings import Settings, parse_budget, parse_target
from cutpoint.planning.texts import as_tokens
from cutpoint.planning.watcher import Watcher
from cutpoint.race.race import Race
from cutpoint.race.reference import Reference
from cutpoint.race.run_folder import RunFolder, open_folder, read_record
from cutpoint.regimes import Regime, resolve_regimes
from cutpoint.reports import PrintedResult
from cutpoint.runtime import choose_device, installed_versions, set_threads, tune_allocator
from cutpoint.survey.advising import advise_before
from cutpoint.survey.first_audit import audit_first
from cutpoint.survey.second_audit import audit_with_backbone
from cutpoint.types import Advice, Audit, Circumstances, Dataset, Limits, Result, Score

DEFAULT_OUT = "cutpoint-run"
_LIBRARIES = ("cutpoint", "torch", "timm", "transformers", "peft", "numpy", "scikit-learn", "pillow")


def fit(
    data: Any,
    targets: Any = None,
    *,
    backbones: str | Backbone | Sequence[str | Backbone] = "auto",
    regimes: str | Regime | Sequence[str | Regime] = "auto",
    budget: str | float = "20m",
    limits: Limits | None = None,
    out: str | Path = DEFAULT_OUT,
    target: str | None = None,
    min_gain: float = 0.005,
    exhaustive: bool = False,
    remedies: bool = True,
    cut: int | str | None = None,
    image_size: int | None = None,
    max_length: int | None = None,
    input_column: str | None = None,
    target_column: str | None = None,
    task: str | None = None,
    metric: str | None = None,
    reference: str | Path | None = None,
    pack: bool = True,
    group: str | None = None,
    labels: str | Path | None = None,
    test_fraction: float = 0.2,
    per_class: int | None = None,
    max_unreadable: float = 0.05,
    allow_leakage: bool = False,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    engine: EngineRequest = "auto",
    cache: str | Path | None = None,
    cache_limit: int = DEFAULT_LIMIT,
    restart: bool = False,
    watcher: Watcher | None = None,
) -> Result:
    """Find the cheapest adapted model that is good enough, with the evidence.

    Args:
        data: A folder of images or texts by class, a CSV, TSV, Parquet or JSONL file (or a folder with one for each
            split) of images, texts, pairs, tagged words or chats, a text file, or inputs in memory with `targets`.
        targets: Labels or values of inputs in memory.
        backbones: Names, folders or `Backbone`s; "auto" is the smallest viable one that can be reached.
        regimes: "auto", "all", names, YAML files, or `Regime`s; "tf-idf" and "image-statistics" are linear heads on
            hand-made features.
        budget: Wall-clock limit: "90s", "20m", "2h", or seconds.
        limits: What a model must keep to be shipped at all; None: nothing.
        out: Run folder. An unfinished run of the same settings and data there goes on; a finished one is returned.
        target: Stop when good enough: "accuracy>=0.95", judged by the lower bound of the interval.
        min_gain: Least gain for which a dearer regime is worth it, in units of the metric.
        exhaustive: Run every trial to its end, whatever it promises.
        remedies: Whether regimes that mend what the best fine-tune lacks (overfitting, instability) are tried as well,
            where `regimes` is "auto".
        cut: Where regimes that train above a cut are cut; None: where the every-layer probe proposes.
        image_size: Pixels in place of the backbone's own input size.
        max_length: Tokens at which texts are cut off, in place of the backbone's own limit.
        input_column: Column of paths or texts, in tables; of pairs "first,second".
        target_column: Column of labels or values, in tables.
        task: "binary", "multiclass", "multilabel", "regression", "tagging" or "language"; None: inferred.
        metric: What is judged; None: accuracy, f1_micro, r2, entity_f1 or perplexity.
        reference: A data set of another subject, on which it is measured what each trial forgets: texts for a
            language model, pairs of sentences with a value, or any labelled set, which is probed.
        pack: Whether training documents of a language model share rows of tokens.
        group: A column, or a regular expression on names: no group stands on two sides of a split.
        labels: A review list of doubtful labels, filled in (see `cutpoint.data.corrected`): they are corrected in all
            splits, and what that gained is measured.
        test_fraction: Share held out for the test where the data have no test split.
        per_class: Training examples kept of each class.
        max_unreadable: Share of unreadable files above which the run stops.
        allow_leakage: Go on though copies of training examples stand in the validation or test split.
        seed: Decides splits, initialisation and order.
        threads: CPU threads; None: as torch chooses.
        device: "auto", "cpu", "cuda", …
        engine: What computes frozen features: "auto" is the engine that a short calibration finds to be through first;
            else "eager" (PyTorch as it is), "fused", "half", "compile", "openvino" or "onnxruntime".
        cache: Folder of the activation cache; None: the user's cache folder.
        cache_limit: Its size limit in bytes.
        restart: Throw away an earlier run in `out`.
        watcher: Hears of the progress.

    Returns:
        The result, as written to OUT/result.json; OUT/report.html and OUT/model stand beside it.

    Raises:
        CutpointError: What the user can mend, with a hint.
    """
    tune_allocator()
    watcher = watcher or Watcher()
    requested = Requested(
        backbones,
        regimes,
        image_size=image_size,
        max_length=max_length,
        cut=cut,
        metric=metric,
        target=target,
    )
    check_installed(engine)
    budget_seconds = parse_budget(budget)
    limits = limits or Limits()
    check_places(backbones, limits)
    folder = open_folder(Path(out))
    if not restart:
        threads, device = _machine(folder, threads, device)
    device = str(choose_device(device))
    dataset = load_dataset(
        data,
        targets=targets,
        input_column=input_column,
        target_column=target_column,
        task=task,
        metric=metric,
        group=group,
        test_fraction=test_fraction,
        seed=seed,
        max_unreadable=max_unreadable,
        per_class=per_class,
        on_task=requested.meet,
        on_progress=lambda done, total: watcher.on_work("checking the data", done, total),
    )
    watcher.on_message(describe(dataset))
    if labels is not None:
        dataset = apply_corrections(dataset, Path(labels))
        watcher.on_message(f"{dataset.notes[-1][0].upper()}{dataset.notes[-1][1:]}.")
    dataset, found = audit_first(dataset, allow_leakage=allow_leakage, watcher=watcher)
    settings = Settings(
        budget_seconds=budget_seconds,
        min_gain=min_gain,
        is_automatic=is_automatic(regimes),
        exhaustive=exhaustive,
        remedies=remedies,
        target=parse_target(target, dataset.task.metric),
        seed=seed,
        cut=cut,
        image_size=image_size,
        max_length=max_length,
        reference=None if reference is None else str(reference),
        pack=pack,
        threads=set_threads(threads),
        device=device,
        engine=engine,
        limits=limits,
    )
    chosen = resolve_regimes(regimes, audience_of(dataset))
    entries = entries_for(
        dataset, requested.loaded, chosen, image_size, max_length, is_auto=is_automatic(regimes)
    )
    dataset = as_tokens(dataset, entries, settings, watcher)
    meter = None
    if reference is not None:
        task_of_reference = (
            "language" if dataset.task.kind == "language" else None
        )  # labels of texts are left out
        meter = Reference(load_dataset(reference, seed=seed, task=task_of_reference), dataset, seed)
    if restart:  # only now that nothing of what the user named turned out wrong
        folder.clear()
    race = Race(
        dataset,
        entries,
        settings,
        folder,
        cache=ActivationCache(None if cache is None else Path(cache), cache_limit),
        versions=_versions(),
        watcher=watcher,
        reference=meter,
        audit=found,
    )
    return PrintedResult.model_construct(**dict(race.run()))


def train(
    data: Any, backbone: str | Backbone = "auto", regime: str | Regime = "linear-probe", **options: Any
) -> Result:
    """Run one regime on one backbone, judged like a race of one; options as in `fit`."""
    return fit(data, backbones=backbone, regimes=regime, **options)


def advise(
    data: Any,
    targets: Any = None,
    *,
    backbones: str | Backbone | Sequence[str | Backbone] = "auto",
    regimes: str | Regime | Sequence[str | Regime] = "auto",
    budget: str | float = "20m",
    limits: Limits | None = None,
    circumstances: Circumstances | None = None,
    cut: int | str | None = None,
    image_size: int | None = None,
    max_length: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    cache: str | Path | None = None,
    cache_limit: int = DEFAULT_LIMIT,
    watcher: Watcher | None = None,
    **options: Any,
) -> Advice:
    """What measured axes and the field's rules say, within seconds; nothing but heads is trained.

    Args:
        data: As in `fit`.
        targets: As in `fit`.
        backbones: As in `fit`; of several, the advice is about the one whose frozen features say most.
        regimes: What is priced, as in `fit`; from scratch always is.
        budget: As in `fit`.
        limits: What a model must keep to be shipped at all; None: nothing.
        circumstances: What you say of the project: tasks, retraining, what an error costs, further data.
        cut: As in `fit`.
        image_size: As in `fit`.
        max_length: As in `fit`.
        seed: Decides splits, the rows that are looked at, and the random weights of the control.
        threads: As in `fit`.
        device: As in `fit`.
        cache: As in `fit`.
        cache_limit: As in `fit`.
        watcher: Hears of the progress.
        **options: `input_column`, `target_column`, `task`, `metric`, `group`, `test_fraction`, `per_class` and
            `max_unreadable` as in `fit`.

    Raises:
        CutpointError: What the user can mend, with a hint.
    """
    tune_allocator()
    watcher = watcher or Watcher()
    requested = Requested(
        backbones,
        regimes,
        image_size=image_size,
        max_length=max_length,
        cut=cut,
        metric=options.get("metric"),
        is_network_needed=True,
    )
    settings = Settings(
        budget_seconds=parse_budget(budget),
        seed=seed,
        cut=cut,
        image_size=image_size,
        max_length=max_length,
        threads=set_threads(threads),
        device=str(choose_device(device)),
        limits=limits or Limits(),
        circumstances=circumstances or Circumstances(),
    )
    check_places(backbones, settings.limits)
    dataset = load_dataset(data, targets=targets, seed=seed, on_task=requested.meet, **options)
    watcher.on_message(describe(dataset))
    dataset, found = audit_first(dataset, allow_leakage=True, watcher=watcher)  # advice trains nothing on it
    chosen = with_controls(resolve_regimes(regimes, audience_of(dataset)), dataset, settings.circumstances)
    entries = entries_for(
        dataset, requested.loaded, chosen, image_size, max_length, is_auto=is_automatic(regimes)
    )
    dataset = as_tokens(dataset, entries, settings, watcher)
    for entry in entries:
        entry.backbone.module.to(settings.device)
    store = ActivationCache(None if cache is None else Path(cache), cache_limit)
    return advise_before(
        dataset, entries, settings, cache=store, versions=_versions(), watcher=watcher, audit=found
    )


def load(
    folder: str | Path, *, backbone: Backbone | None = None, backbone_path: str | Path | None = None
) -> Model:
    """Load a model folder (or the model of a run folder).

    Args:
        folder: RUN/model, or RUN.
        backbone: The backbone, where it was built in Python.
        backbone_path: Where the backbone's folder lies now, if it moved.

    Raises:
        ArtifactError: Missing, damaged, or the backbone is not what it was.
    """
    tune_allocator()
    path = Path(folder)
    if not (path / "cutpoint.json").exists() and (path / "model" / "cutpoint.json").exists():
        path = path / "model"
    return load_model(path, backbone=backbone, backbone_path=backbone_path)


def evaluate(
    model: Model | str | Path,
    data: Any,
    *,
    targets: Any = None,
    split: str | None = None,
    on_progress: Progress | None = None,
    on_message: Callable[[str], None] | None = None,
    **options: Any,
) -> Score:
    """Score a model on labelled data, with a 95 % interval.

    Args:
        model: A model, or its folder.
        data: As in `fit`.
        targets: As in `fit`.
        split: "train", "val" or "test"; None: the test split where the data have one, else everything (if the
            model was trained on some of that, the score flatters).
        on_progress: Called with (done, total).
        on_message: Called with what the user should know of the data.
        **options: `input_column`, `target_column`, `group` as in `fit`.

    Raises:
        DataError: The data have labels that the model does not know, or no such split.
    """
    found = model if isinstance(model, Model) else load(model)
    columns = getattr(found.backbone.preprocessing, "columns", ())
    dataset = load_known(data, found.task, targets=targets, columns=columns, **options)
    rows = _rows_of(dataset, split)
    if on_message and len(rows) == len(dataset):
        on_message(
            f"All {len(rows)} examples are scored. If the model was trained on some, the score flatters."
        )
    scores = found.predict_scores([dataset.inputs[int(row)] for row in rows], on_progress=on_progress)
    groups = dataset.groups_of(rows)
    return score(found.task, dataset.targets[rows], scores, groups=groups)


def merge(model: Model | str | Path, out: str | Path, *, inputs: Sequence[Any] = ()) -> float | None:
    """Fold a model's adapter into its backbone's weights, and write that as a model folder.

    Args:
        model: A model, or its folder.
        out: Folder of the merged model.
        inputs: Some that both are asked about; needed where the adapter was trained on a base in 4 bits, since it is
            merged into the full-precision one.

    Returns:
        The largest change of a score on `inputs` (see `cutpoint.model.Model.predict_scores`); None without any.

    Raises:
        ArtifactError: There is no adapter, it cannot be merged, or what is lost cannot be said.
    """
    found = model if isinstance(model, Model) else load(model)
    if found.adapter is not None and found.adapter.base == "nf4" and not len(inputs):
        raise ArtifactError(
            "The adapter was trained on a base in 4 bits; merged into the full-precision one, scores change.",
            "Name some inputs, so that it can be said by how much (--check INPUT).",
        )
    merged = merge_model(found)
    change = change_of_scores(found, merged, inputs) if len(inputs) else None
    save_model(merged, Path(out))
    return change


def audit(
    data: Any,
    targets: Any = None,
    *,
    backbone: str | Backbone | None = None,
    image_size: int | None = None,
    max_length: int | None = None,
    cache: str | Path | None = None,
    on_progress: Progress | None = None,
    **options: Any,
) -> Audit:
    """What is odd in the data, told from their content in seconds: copies, leaks, clashing labels, shortcuts.

    With a backbone also from its features: doubtful labels, near duplicates, shift between splits.

    Args:
        data: As in `fit`.
        targets: As in `fit`.
        backbone: Name, folder or `Backbone`; None: only content is looked at.
        image_size: As in `fit`.
        max_length: As in `fit`.
        cache: As in `fit`.
        on_progress: Called with (done, total) while inputs are read again for the audit.
        **options: `input_column`, `target_column`, `task`, `metric`, `group`, `test_fraction`, `per_class`,
            `seed` as in `fit`; all unreadable inputs are set aside unless `max_unreadable` says otherwise.

    Returns:
        Checks that ran, findings (gravest first), class weights, doubtful labels. `Audit.leaks` is what would stop
        `fit`.

    Raises:
        DataError: The data cannot be read.
    """
    dataset = load_dataset(data, targets=targets, **{"max_unreadable": 1.0, **options})
    examined = examine_content(dataset, on_progress)
    if backbone is None:
        return examined.audit
    loaded = load_backbone(
        backbone,
        modality=dataset.modality,
        readout=readout_for(dataset.task),
        image_size=image_size,
        max_length=max_length,
    )
    place = ActivationCache(None if cache is None else Path(cache))
    return audit_with_backbone(
        examined.dataset, loaded, place, seed=options.get("seed", 0), audit=examined.audit
    )


def fix_splits(data: Any, out: str | Path, **options: Any) -> Repair:
    """Write a table with a split column in which copies of the same content stand on one side.

    What is judged on stays, copies of it leave training; the user's files are not touched.

    Args:
        data: Images in files, texts or pairs of texts, as in `fit`.
        out: A .csv file that does not exist; `fit` takes it as it is.
        **options: As in `audit`.

    Returns:
        What was written, which examples were left out, and which carry several labels.

    Raises:
        DataError: The file exists, or the data do not fit into such a table.
    """
    dataset = load_dataset(data, **{"max_unreadable": 1.0, **options})
    examined = examine_content(dataset)
    return write_splits(examined.dataset, examined.alike, Path(out))


def _machine(folder: RunFolder, threads: int | None, device: str) -> tuple[int | None, str]:
    """Threads and device as asked for; what was left open follows the plan of a run that goes on."""
    plan = read_record(folder.plan, Plan)
    if plan is None:
        return threads, device
    return threads or plan.settings.threads, plan.settings.device if device == "auto" else device


def _rows_of(dataset: Dataset, split: str | None) -> NDArray[np.int64]:
    if split is None:
        return dataset.splits.get("test", np.arange(len(dataset)))
    if split not in dataset.splits:
        raise DataError(f"The data have no {split!r} split.", f"They have {', '.join(dataset.splits)}.")
    return dataset.splits[split]


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **installed_versions(_LIBRARIES)}
