"""The cached probe against the loop of the tutorials, which runs the frozen network in every epoch.

    python -m benchmarks.cached_probe [--rows 300] [--repeats 3] [--epochs 5]

Both get the same training images and the same pretrained weights, and are scored on the same test images. The plain
loop is PyTorch as it comes: images decoded once in advance (which favours it), frozen backbone in eval mode, AdamW on
a linear head. The probe is Cutpoint's: decode, features of all blocks once, exact head with cross-validation. The two
are interleaved; ratios are printed with their spread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cutpoint.backbones.inputs import use_channels_last
from cutpoint.backbones.load import load_backbone
from cutpoint.data import load_dataset
from cutpoint.data.splits import holdout
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.heads.exact import fit_exact
from cutpoint.runtime import tune_allocator

_SHARED = Path(os.environ.get("CUTPOINT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
_TEST_ROWS = 300


def main() -> None:
    options = _options()
    if options.contender:
        seconds, accuracy = _run(options.contender, options.rows, options.epochs)
        print(f"{seconds:.3f} {accuracy:.4f}")
        return
    ratios = []
    for _ in range(options.repeats):
        plain, cached = (_in_own_process(name, options) for name in ("plain", "cached"))
        ratios.append(plain[0] / cached[0])
        print(
            f"plain {plain[0]:6.1f} s, accuracy {plain[1]:.3f} | "
            f"cached {cached[0]:6.1f} s, accuracy {cached[1]:.3f} | ratio {ratios[-1]:.1f}",
            flush=True,
        )
    print(
        f"{options.rows} images, {options.epochs} epochs: the plain loop takes {statistics.median(ratios):.1f} times "
        f"as long (median of {options.repeats}, {min(ratios):.1f} to {max(ratios):.1f})"
    )


def _in_own_process(name: str, options: argparse.Namespace) -> tuple[float, float]:
    """Each contender alone: the allocator's settings hold for a whole process."""
    command = [sys.executable, __file__, "--contender", name]
    command += ["--rows", str(options.rows), "--epochs", str(options.epochs)]
    seconds, accuracy = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(accuracy)


def _run(contender: str, rows: int, epochs: int) -> tuple[float, float]:
    dataset = load_dataset(_SHARED / "data/vision/clothing10")
    backbone = load_backbone(_SHARED / "weights/mobilenetv2_100_coral")
    _, train = holdout(dataset, dataset.splits["train"], fraction=rows / len(dataset.splits["train"]), seed=0)
    _, test = holdout(
        dataset, dataset.splits["test"], fraction=_TEST_ROWS / len(dataset.splits["test"]), seed=0
    )
    pictures = _decode(backbone, dataset, train)
    started = time.perf_counter()
    if contender == "plain":
        head: nn.Module = _plain(backbone.module.eval(), backbone, pictures, dataset.targets[train], epochs)
    else:
        tune_allocator()
        use_channels_last(backbone.module)
        bank = FeatureBank(backbone, dataset, train, ActivationCache(limit=0))
        head = fit_exact(bank.pooled().final, dataset.targets[bank.rows], dataset.task).head
    seconds = time.perf_counter() - started
    return seconds, _accuracy(backbone, head, _decode(backbone, dataset, test), dataset.targets[test])


def _plain(
    module: nn.Module, backbone: object, pictures: torch.Tensor, targets: np.ndarray, epochs: int
) -> nn.Module:
    labels = torch.from_numpy(targets)
    head = nn.Linear(backbone.width, int(labels.max()) + 1)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
    for epoch in range(epochs):
        order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(epoch))
        for batch in order.split(32):
            with torch.no_grad():
                features = module(backbone.inputs.to_network(pictures[batch]).contiguous())
            loss = nn.functional.cross_entropy(head(features), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return head


def _decode(backbone: object, dataset: object, rows: np.ndarray) -> torch.Tensor:
    prepared = [backbone.inputs.prepare(dataset.inputs[int(row)]) for row in rows]
    return torch.from_numpy(np.stack(prepared))


@torch.inference_mode()
def _accuracy(backbone: object, head: nn.Module, pictures: torch.Tensor, targets: np.ndarray) -> float:
    guesses = [
        head(backbone.module.eval()(backbone.inputs.to_network(batch))).argmax(1)
        for batch in pictures.split(32)
    ]
    return float((torch.cat(guesses).numpy() == targets).mean())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--contender", choices=("plain", "cached"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
