"""The decision benchmark: how well does the race choose, and at what cost?

    python -m benchmarks.decision oracle      every trial of every cell to its end: hours, and resumable
    python -m benchmarks.decision race        the race on every cell
    python -m benchmarks.decision report      the table and the plot of the documentation

All three with --cell ID … and --seed N … for a part. Run it from the repository's root.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .cells import CELLS, ROOT
from .oracle import run_cell
from .races import race_cell
from .report import write_report

HERE = Path(__file__).parent


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("oracle", "race", "report", "all"))
    parser.add_argument("--cell", nargs="*", choices=[cell.id for cell in CELLS])
    parser.add_argument("--seed", nargs="*", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--work", type=Path, default=ROOT / ".decision-work")
    asked = parser.parse_args()
    cells = [cell for cell in CELLS if asked.cell is None or cell.id in asked.cell]
    asked.work.mkdir(parents=True, exist_ok=True)
    for seed in asked.seed:
        for cell in cells:
            if asked.what in ("oracle", "all"):
                run_cell(cell, seed, asked.out / "oracle", asked.work)
            if asked.what in ("race", "all"):
                race_cell(cell, seed, asked.out / "races", asked.work)
    if asked.what in ("report", "all"):
        write_report(asked.out / "oracle", asked.out / "races", ROOT / "docs")


main()
