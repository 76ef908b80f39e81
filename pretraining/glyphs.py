"""Pretrain the embedded glyph network on characters rendered from fonts; digits are left out.

    python pretraining/glyphs.py FONTS --out RUN --steps 2000

FONTS holds one folder a package (see fetch_fonts.sh). RUN receives weights.safetensors, config.json and
classes.json; the bank of clean bitmaps is kept there too.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
from distortions import SIZE, distort
from fonts import HANDWRITTEN, HELD_OUT, Bank, load_or_build
from safetensors.torch import save_file
from torch import nn

from cutpoint.backbones.glyphs.network import BLOCKS, WIDTH, GlyphNetwork

MEAN, STD = 0.5, 0.35
BATCH = 256
RATE = 4e-3
WEIGHT_DECAY = 0.05
SMOOTHING = 0.1
AVERAGE = 0.998
HANDWRITTEN_WEIGHT = 3.0
SYMBOL_WEIGHT = 0.3


def sampling_weights(bank: Bank, rows: np.ndarray) -> torch.Tensor:
    """Every letter equally often, symbols less; in a class every package, handwritten ones favoured."""
    by_class = np.array([1.0 if characters[0].isalpha() else SYMBOL_WEIGHT for characters in bank.classes])
    favour = np.array([HANDWRITTEN_WEIGHT if name in HANDWRITTEN else 1.0 for name in bank.package_names])
    labels, packages = bank.labels[rows], bank.packages[rows]
    pair = labels * len(favour) + packages
    in_pair = np.bincount(pair)[pair]
    weight = favour[packages] / in_pair
    total = np.bincount(labels, weights=weight)
    return torch.from_numpy(weight * by_class[labels] / total[labels])


def normalise(pictures: torch.Tensor) -> torch.Tensor:
    """0…1 → the network's input."""
    return ((pictures - MEAN) / STD).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def validate(network: nn.Module, head: nn.Module, pictures: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of distorted glyphs of the held-out fonts that are named right."""
    network.eval()
    named = torch.cat([head(network(normalise(part))).argmax(1) for part in pictures.split(500)])
    return float((named == labels).float().mean())


def train(bank: Bank, steps: int, seed: int) -> tuple[GlyphNetwork, float]:
    """The averaged network after `steps` batches, and its accuracy on the held-out fonts."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    held_out = np.isin(bank.packages, [i for i, name in enumerate(bank.package_names) if name in HELD_OUT])
    rows = np.flatnonzero(~held_out)
    weights = sampling_weights(bank, rows)
    bitmaps, labels = torch.from_numpy(bank.bitmaps), torch.from_numpy(bank.labels)
    unseen = torch.from_numpy(np.flatnonzero(held_out))
    unseen = unseen[torch.randperm(len(unseen), generator=torch.Generator().manual_seed(0))[:4000]]
    unseen_pictures = distort(bitmaps[unseen], torch.Generator().manual_seed(0))

    network = GlyphNetwork().to(memory_format=torch.channels_last)
    learner = nn.ModuleDict({"network": network, "head": nn.Linear(WIDTH, len(bank.classes))})
    averaged = copy.deepcopy(learner)
    matrices = [parameter for parameter in learner.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in learner.parameters() if parameter.ndim == 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.15)
    start = time.perf_counter()
    for step in range(1, steps + 1):
        learner.train()
        drawn = rows[torch.multinomial(weights, BATCH, replacement=True, generator=generator).numpy()]
        pictures = normalise(distort(bitmaps[drawn], generator))
        with torch.autocast("cpu", torch.bfloat16):
            scores = learner["head"](network(pictures))
        loss = nn.functional.cross_entropy(scores.float(), labels[drawn], label_smoothing=SMOOTHING)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        _average(averaged, learner, min(AVERAGE, step / (step + 10)))
        if step % 200 == 0 or step == steps:
            accuracy = validate(averaged["network"], averaged["head"], unseen_pictures, labels[unseen])
            seconds = time.perf_counter() - start
            figures = f"loss {loss.item():.3f} held-out fonts {accuracy:.4f} {seconds:.0f} s"
            print(f"step {step} {figures}", flush=True)
    return averaged["network"], accuracy


@torch.no_grad()
def _average(averaged: nn.Module, learner: nn.Module, keep: float) -> None:
    """Exponential moving average of parameters and of the norms' statistics."""
    current = learner.state_dict()
    for name, kept in averaged.state_dict().items():
        if kept.is_floating_point():
            kept.lerp_(current[name], 1 - keep)
        else:
            kept.copy_(current[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fonts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    bank = load_or_build(arguments.fonts, arguments.out / "bank.npz")
    print(f"{len(bank.bitmaps)} bitmaps, {len(bank.classes)} classes, {len(bank.package_names)} packages")
    network, accuracy = train(bank, arguments.steps, arguments.seed)
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, arguments.out / "weights.safetensors")
    config = {
        "size": SIZE,
        "mean": [MEAN],
        "std": [STD],
        "width": WIDTH,
        "blocks": list(BLOCKS),
        "licence": "Apache-2.0",
        "trained_on": (
            f"{len(bank.bitmaps)} glyph bitmaps of {len(bank.classes)} character classes without digits, "
            f"from the freely licensed fonts of {len(bank.package_names)} Debian packages "
            f"({len(HELD_OUT)} held out), distorted anew in each of {arguments.steps} steps of {BATCH}"
        ),
        "held_out_font_accuracy": round(accuracy, 4),
        "recipe": "pretraining/glyphs.py",
        "seed": arguments.seed,
    }
    (arguments.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    classes = json.dumps(list(bank.classes), ensure_ascii=False, indent=0)
    (arguments.out / "classes.json").write_text(classes + "\n")


if __name__ == "__main__":
    main()
