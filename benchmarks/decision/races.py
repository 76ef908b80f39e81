"""Cutpoint's race on every cell: what it ships, what it cost, and its answers on the test split."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from cutpoint.artifacts import load_model
from cutpoint.evaluation.intervals import score
from cutpoint.planning.watcher import Watcher
from cutpoint.race.race import Race
from cutpoint.race.run_folder import RunFolder

from .arena import arena
from .cells import Cell
from .oracle import write


def race_cell(cell: Cell, seed: int, out: Path, work: Path) -> None:
    """Race once, unless CELL-SEED.json is there; the race sees no test row.

    Args:
        cell: What to race on.
        seed: As the exhaustive run's.
        out: Gets CELL-SEED.json.
        work: For the cache and the run.
    """
    file = out / f"{cell.id}-{seed}.json"
    if file.exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(work / "races" / cell.id / str(seed))
    folder.clear()
    shutil.rmtree(work / "race-cache", ignore_errors=True)
    ground = arena(cell, seed, work, "race-cache")
    dataset = ground.dataset
    blind = replace(dataset, splits={"train": dataset.splits["train"]})
    started, wall = time.process_time(), time.perf_counter()
    race = Race(
        blind, ground.entries, ground.settings, folder, cache=ground.cache, versions={}, watcher=Watcher()
    )
    result = race.run()
    seconds, wall = time.process_time() - started, time.perf_counter() - wall
    winner = result.trial(result.winner or "")
    model = load_model(folder.model, backbone=race.banks[winner.backbone].backbone)
    test = dataset.splits["test"]
    scores = model.predict_scores([dataset.inputs[int(row)] for row in test])
    write(
        file,
        {
            "cell": cell.id,
            "seed": seed,
            "held_back": cell.is_held_back,
            "winner": winner.id,
            "cpu_seconds": round(seconds, 2),
            "wall_seconds": round(wall, 2),
            "validation": winner.validation.model_dump() if winner.validation else None,
            "test": score(dataset.task, dataset.targets[test], scores).model_dump(),
            "answers": np.argmax(scores, axis=1).tolist(),
            "rules": {outcome.rule_set: list(outcome.regimes) for outcome in result.advice.rules},
            "axes": result.advice.axes.model_dump(exclude={"predicted"}),
            "optimism": result.optimism,
            "trials": {
                trial.id: {
                    "status": trial.status,
                    "reason": trial.reason,
                    "validation": trial.validation.value if trial.validation else None,
                    "seconds": trial.cost.seconds,
                    "predicted": trial.predicted.seconds,
                }
                for trial in result.trials
            },
            "screening": [
                screened.model_dump(exclude={"score"})
                | {"value": screened.score.value if screened.score else None}
                for screened in result.screening
            ],
        },
    )
    print(f"{cell.id} seed {seed}: {winner.id}, {seconds:.0f} CPU seconds", flush=True)
