"""A usable model within seconds: a probe on some rows, replaced as soon as something better is shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cutpoint.artifacts import save_model
from cutpoint.data.splits import holdout
from cutpoint.errors import DataError
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.heads.exact import fit_exact
from cutpoint.model import Model, Network
from cutpoint.planning.judging import Judging
from cutpoint.planning.watcher import Watcher
from cutpoint.race.run_folder import RunFolder

ROWS = 150
"""Of many; up to twice as many are taken whole, since the race needs the features of all."""


def save_first_model(bank: FeatureBank, judging: Judging, folder: RunFolder, watcher: Watcher) -> None:
    """Fit the exact head on a few rows and save it as RUN/model, unless there is a model.

    Args:
        bank: Of the race's first backbone.
        judging: Its rows.
        folder: Where the model goes.
        watcher: Hears of it.
    """
    dataset, backbone = bank.dataset, bank.backbone
    if dataset.task.kind in ("tagging", "language"):  # no row of features an example to fit a head on
        return
    if (folder.model / "cutpoint.json").exists():
        return
    if len(judging.rows) > 2 * ROWS:
        # Nothing is judged on the other rows, and groups may be too large.
        ungrouped = replace(dataset, groups=None)
        _, rows = holdout(ungrouped, judging.rows, fraction=ROWS / len(judging.rows), seed=0)
        bank = FeatureBank(backbone, dataset, rows, ActivationCache(limit=0), on_progress=watcher.on_work)
    targets = dataset.targets[bank.rows]
    if dataset.task.is_classification and len(np.unique(targets)) < dataset.task.outputs:
        return
    try:
        solved = fit_exact(bank.pooled().final, targets, dataset.task, out_of_fold=False)
    except DataError:  # features that are not finite: the race itself names their rows
        return
    model = Model(
        backbone=backbone,
        network=Network(backbone.module, solved.head),
        task=dataset.task,
        regime="linear-probe",
        cut=len(backbone.blocks),
        description={
            "name": "First model",
            "Note": f"a probe on {len(bank.rows)} examples, while the race runs",
        },
    )
    save_model(model, folder.model)
    watcher.on_message(f"A first model (a probe on {len(bank.rows)} examples) is in {folder.model}.")
