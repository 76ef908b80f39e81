"""Memory, bytes stored and time of full fine-tuning, LoRA and QLoRA on a language model of 34 million random weights.

    python -m benchmarks.language_memory [--out DIR]

Quality means nothing here: one epoch, a fixed rate. Each regime runs in a process of its own, so that the peak is its
own, and the prediction that was made before it ran stands beside what was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHARED = Path(os.environ.get("CUTPOINT_SHARED", Path(__file__).parents[2] / "shared"))
REGIMES: dict[str, dict[str, Any]] = {
    "full": {"phases": [{"train": "all"}]},
    "full-checkpointed": {"phases": [{"train": "all"}], "checkpointing": True},
    "lora": {"phases": [{"train": "adapter"}], "adapter": {"kind": "lora"}},
    "qlora": {"phases": [{"train": "adapter"}], "adapter": {"kind": "lora", "base": "nf4"}},
}
ROWS, LENGTH, BATCH = 96, 128, 8


def main() -> None:
    """Build the model and the data, run every regime, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", choices=REGIMES)
    asked = parser.parse_args()
    if asked.only:
        run(asked.out, asked.only)
        return
    out = asked.out or Path(tempfile.mkdtemp())
    build(out)
    columns = ("trained", "stored", "peak added", "predicted", "tokens/s", "ratio")
    print(f"{'regime':<18}", *(f"{column:>13}" for column in columns))
    for name in REGIMES:
        command = [sys.executable, __file__, "--out", str(out), "--only", name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        fact = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        ratio = fact["predicted"] / fact["peak added"]
        print(
            f"{name:<18}", *(f"{fact[column]:>13,}" for column in columns[:-1]), f"{ratio:>13.2f}", flush=True
        )


def build(out: Path) -> None:
    """A Llama of 34 million random weights with the tokenizer of stories260k, and made-up texts."""
    import torch

    from cutpoint.backbones.torchvision_repair import import_torchvision

    import_torchvision()
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(SHARED / "weights" / "stories260k")
    torch.manual_seed(0)
    configuration = LlamaConfig(
        vocab_size=512, hidden_size=576, intermediate_size=1536, num_hidden_layers=8, num_attention_heads=8,
        max_position_embeddings=512,
    )  # fmt: skip
    model = LlamaForCausalLM(configuration)
    print(f"{sum(each.numel() for each in model.parameters()):,} parameters")
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    words = ["once", "upon", "a", "time", "there", "was", "little", "dog", "who", "liked", "to", "play"]
    chosen = random.Random(0)
    (out / "data").mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", ROWS), ("val", 16), ("test", 16)):
        texts = (" ".join(chosen.choices(words, k=2 * LENGTH)) for _ in range(rows))
        (out / "data" / f"{name}.txt").write_text("\n\n".join(texts), encoding="utf-8")


def run(out: Path, name: str) -> None:
    """One regime, on the pieces below the race: the tuned allocator keeps memory, and would hide what is needed."""
    import numpy as np
    import torch

    from cutpoint.artifacts.model_folder import stored_bytes
    from cutpoint.backbones.load import load_backbone
    from cutpoint.data import load_dataset
    from cutpoint.features.bank import FeatureBank
    from cutpoint.features.store import ActivationCache
    from cutpoint.model import Model
    from cutpoint.planning.calibration import calibrate
    from cutpoint.planning.plan import price
    from cutpoint.regimes import Regime
    from cutpoint.regimes.recipe import resolve_recipe
    from cutpoint.runtime import PeakMemory
    from cutpoint.training.fit import Fit, FitData

    torch.set_num_threads(1)
    described = {"name": name, **REGIMES[name]}
    for phase in described["phases"]:
        phase.update(rate=1e-4, epochs=1, batch_size=BATCH)
    regime = Regime(**described)
    dataset = load_dataset(out / "data")
    backbone = load_backbone(out / "model", readout="language", max_length=LENGTH)
    bank = FeatureBank(backbone, dataset, np.arange(len(dataset)), ActivationCache(out / "cache"))
    train, held = dataset.splits["train"], dataset.splits["val"]
    recipe = resolve_recipe(regime, backbone, cut=None, rows=len(train), task=dataset.task)
    calibration = calibrate(bank, bank.targets, dataset.task, torch.device("cpu"))
    predicted = price(recipe, backbone, calibration, task=dataset.task, rows=len(train), judged=len(held))
    data = FitData(bank, bank.targets, dataset.task, train, held)
    with PeakMemory() as peak:
        fit = Fit(recipe, data, seed=0)
        started = time.perf_counter()
        for _ in fit:
            pass
        seconds = time.perf_counter() - started
    model = Model(backbone, fit.network, dataset.task, name, recipe.cut, adapter=regime.adapter)
    fact = {
        "trained": fit.trained_parameters,
        "stored": stored_bytes(model),
        "peak added": peak.bytes,
        "predicted": predicted.peak_memory_bytes,
        "tokens/s": round(int(bank.lengths[train].sum()) / seconds),
    }
    (out / f"{name}.json").write_text(json.dumps(fact), encoding="utf-8")


if __name__ == "__main__":
    main()
