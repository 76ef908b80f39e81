"""How well wrong labels are found, and what setting them right gains: labels replaced at random in published sets.

    CUTPOINT_SHARED=… python -m benchmarks.label_errors [--tables]

Writes label_errors.json and the tables of docs/guides/label-errors.md; a few minutes on one thread. `--tables` writes
the page anew from the figures.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.labels import TOLD_FROM, agreement, doubtful_labels, noise_rate
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.planning.judging import Judging, plan_judging
from cutpoint.planning.settings import Settings
from cutpoint.survey.label_gain import label_gain
from cutpoint.survey.probabilities import out_of_sample
from cutpoint.types import Dataset

from .decision.cells import Cell
from .page import put

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "label-errors.md"
FIGURES = Path(__file__).with_suffix(".json")
SETS = (
    Cell("clothing10", None, rows=4000),
    Cell("bccd3", None, rows=4000),
    Cell("snips_intents", 400, rows=4000),
    Cell("clothing10", 20),
)
"""Read as in the decision benchmark; in the last one the probe is too weak."""
SHARES = (0.0, 0.05, 0.1, 0.2)
CORRECTED = 0.1
"""Share of wrong labels at which it is measured what correcting gains."""
SEED = 0


def planted(dataset: Dataset, rows: NDArray[np.int64], share: float) -> tuple[Dataset, NDArray[np.int64]]:
    """The data with a share of these rows' labels replaced by another at random, and which rows those are."""
    random = np.random.default_rng(SEED)
    wrong = np.sort(random.permutation(rows)[: round(share * len(rows))])
    targets, classes = dataset.targets.copy(), dataset.task.outputs
    targets[wrong] = (targets[wrong] + random.integers(1, classes, len(wrong))) % classes
    return replace(dataset, targets=targets), wrong


def audited(
    dataset: Dataset, features: NDArray[np.float32], rows: NDArray[np.int64], share: float
) -> dict[str, Any]:
    """What the audit of labels says where a share is wrong."""
    noisy, wrong = planted(dataset, rows, share)
    asked, probabilities = out_of_sample(noisy, rows, features, SEED)
    given = noisy.targets[asked]
    rate = noise_rate(probabilities, given)
    listed = asked[doubtful_labels(probabilities, given)]
    found = len(np.intersect1d(listed, wrong))
    return {
        "planted": share,
        "probe": agreement(probabilities, dataset.targets[asked]),
        "rate": [rate.value, rate.low, rate.high],
        "warned": rate.low > TOLD_FROM and len(listed) > 0,
        "candidates": len(listed),
        "precision": found / len(listed) if share and len(listed) else None,
        "recall": found / len(wrong) if share else None,
        "listed": listed.tolist(),
    }


def corrected_gain(dataset: Dataset, judging: Judging, bank: FeatureBank, listed: list[int]) -> list[float]:
    """Gain and its interval of a probe where the wrong labels on the list are set right."""
    noisy, _ = planted(dataset, judging.rows, CORRECTED)
    targets = noisy.targets.copy()
    targets[listed] = dataset.targets[listed]
    gain = label_gain(replace(noisy, targets=targets, given_targets=noisy.targets), judging, bank, SEED)
    return [gain.gain, gain.low, gain.high]


def measured(cell: Cell, work: Path) -> dict[str, Any]:
    """One set with each share of wrong labels."""
    dataset = cell.dataset(SEED, work)
    judging = plan_judging(dataset, Settings())
    bank = FeatureBank(cell.backbone(), dataset, judging.rows, ActivationCache(work / "cache"))
    features = np.array(bank.pooled().final)
    audits = [audited(dataset, features, bank.rows, share) for share in SHARES]
    listed = next(audit["listed"] for audit in audits if audit["planted"] == CORRECTED)
    gain = corrected_gain(dataset, judging, bank, listed)
    for audit in audits:
        del audit["listed"]
    return {"set": cell.name, "rows": len(bank.rows), "audits": audits, "gain": gain}


def table(figures: list[dict[str, Any]]) -> str:
    """A row a set and share."""
    lines = [
        "| set, rows | probe | planted | rate found | warned | candidates | precision | recall |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        for audit in one["audits"]:
            value, low, high = audit["rate"]
            told = [
                f"{audit[name]:.2f}" if audit[name] is not None else "" for name in ("precision", "recall")
            ]
            head = f"{one['set']}, {one['rows']:,}".replace(",", " ").replace("  ", ", ")
            first = audit is one["audits"][0]
            lines.append(
                f"| {head if first else ''} | {format(audit['probe'], '.2f') if first else ''} | "
                f"{100 * audit['planted']:.0f} % | {value:.3f} ({low:.3f}–{high:.3f}) | "
                f"{'yes' if audit['warned'] else 'no'} | {audit['candidates']} | {' | '.join(told)} |"
            )
    return "\n".join(lines)


def gains(figures: list[dict[str, Any]]) -> str:
    """What setting the listed ones right gains."""
    lines = ["| set | gain in accuracy | 95 % interval |", "|---|---|---|"]
    for one in figures:
        gain, low, high = (f"{number:+.3f}".replace("-", "−") for number in one["gain"])
        lines.append(f"| {one['set']} | {gain} | {low} to {high} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, unless only the tables are asked for; then write them."""
    if "--tables" not in sys.argv:
        with tempfile.TemporaryDirectory() as work:
            found = [measured(cell, Path(work)) for cell in SETS]
        FIGURES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    put(PAGE, "label errors: found", table(figures))
    put(PAGE, "label errors: gained", gains(figures))


if __name__ == "__main__":
    main()
