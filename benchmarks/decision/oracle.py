"""Every regime of a cell to its end: what the race's choice is measured against.

One JSON file a trial is written as soon as the trial is done, so that the suite can be interrupted at any time: what
has a file is not run again.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cutpoint.errors import CutpointError
from cutpoint.evaluation.intervals import score
from cutpoint.features.bank import FeatureBank
from cutpoint.planning.judging import plan_judging
from cutpoint.planning.make_plan import make_plan
from cutpoint.planning.plan import Plan, PlannedTrial
from cutpoint.planning.watcher import Watcher
from cutpoint.race.attempt import Attempt
from cutpoint.race.ground import Ground
from cutpoint.race.run_folder import RunFolder
from cutpoint.race.trial import TrialRun
from cutpoint.types import Dataset

from .arena import arena
from .cells import Cell


def run_cell(cell: Cell, seed: int, out: Path, work: Path) -> None:
    """Run what has no file yet of one cell and seed.

    Args:
        cell: What to run.
        seed: Draws the training rows and decides every fit.
        out: Gets CELL/SEED/cell.json, and CELL/SEED/TRIAL.json for every trial.
        work: For caches and models; may be thrown away when the cell is done.
    """
    folder = out / cell.id / str(seed)
    if (folder / "done").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    own = arena(cell, seed, work, "cache")
    dataset, settings = own.dataset, own.settings
    judging = plan_judging(dataset, settings)
    banks = {
        each.backbone.name: FeatureBank(each.backbone, dataset, judging.rows, own.cache)
        for each in own.entries
    }
    started = time.process_time()
    plan = make_plan(own.entries, banks, judging=judging, settings=settings, versions={}, watcher=Watcher())
    shared = time.process_time() - started
    if not (folder / "cell.json").exists():  # else an interrupted run goes on, whose features are at hand
        write(folder / "cell.json", cell_facts(cell, plan, dataset, round(shared, 2)))
    runs = RunFolder(work / "runs" / cell.id / str(seed))
    for planned in plan.trials:
        file = folder / f"{planned.id.replace('/', '-')}.json"
        if not file.exists():
            ground = Ground(
                banks[planned.backbone],
                dataset,
                judging,
                plan.calibration[planned.backbone],
                settings,
                torch.device("cpu"),
            )
            write(file, facts(planned, ground, runs))
            print(f"{cell.id} seed {seed} {planned.id}", flush=True)
    (folder / "done").touch()


def cell_facts(cell: Cell, plan: Plan, dataset: Dataset, planning_seconds: float) -> dict[str, Any]:
    """What all trials of a cell share."""
    return {
        "cell": cell.id,
        "seed": plan.settings.seed,
        "held_back": cell.is_held_back,
        "labels": list(dataset.task.labels),
        "rows": {name: len(rows) for name, rows in dataset.splits.items()},
        "judged": plan.judged_on,
        "layer_probe": {
            name: [layer.model_dump() for layer in curve] for name, curve in plan.layer_probe.items()
        },
        "planning_cpu_seconds": planning_seconds,
        "truth": dataset.targets[dataset.splits["test"]].tolist(),
    }


def facts(planned: PlannedTrial, ground: Ground, runs: RunFolder) -> dict[str, Any]:
    """One trial to its end, as a user who tries everything would run it; its answers on the test split."""
    dataset = ground.dataset
    test = dataset.splits["test"]
    started, wall = time.process_time(), time.perf_counter()
    run = TrialRun(Attempt(planned, ground, runs, Watcher(), lambda: None))
    try:
        trial = run.run()
        model = run.save_final_model({})
    except CutpointError as error:
        return {"trial": planned.id, "failed": str(error)}
    seconds = time.process_time() - started
    wall = time.perf_counter() - wall
    scores = model.predict_scores([dataset.inputs[int(row)] for row in test])
    return {
        "trial": planned.id,
        "regime": trial.regime,
        "cut": trial.cut,
        "cpu_seconds": round(seconds, 2),
        "wall_seconds": round(wall, 2),
        "predicted_seconds": round(planned.predicted.seconds or 0.0, 2),
        "validation": trial.validation.model_dump() if trial.validation else None,
        "test": score(dataset.task, dataset.targets[test], scores).model_dump(),
        "answers": np.argmax(scores, axis=1).tolist(),
        "stored_bytes": trial.cost.stored_bytes,
        "trainable_parameters": trial.cost.trainable_parameters,
        "recipe": trial.recipe,
        "findings": [finding.code for finding in trial.findings],
    }


def write(file: Path, record: dict[str, Any]) -> None:
    """As JSON, a key a line, whole or not at all."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in record.items()]
    temporary = file.with_suffix(".partial")
    temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    temporary.replace(file)
