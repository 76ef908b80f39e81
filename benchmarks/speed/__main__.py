"""Cutpoint against what users would pick instead, on the same rows, weights and epochs.

    python -m benchmarks.speed run --tier quick       what has no record yet, contenders in turn
    python -m benchmarks.speed report                 the tables and the picture of docs/benchmarks.md
    python -m benchmarks.speed all --tier full        both

Run it from the repository's root. A run that was interrupted goes on where it stopped; when it is through, its
records are copied to benchmarks/speed/results/, and `--again` measures anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from .report import REPORTED, publish, write_report
from .rows import ROOT, SHARED
from .running import PEERS_PYTHON, Bench
from .works import TIERS, WORKS

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("run", "report", "all"))
    parser.add_argument("--tier", choices=TIERS, default="quick")
    parser.add_argument("--work", nargs="*", choices=[work.name for work in WORKS], default=[])
    parser.add_argument("--repeats", type=int, help="rounds, in place of the tier's own")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--again", action="store_true", help="throw earlier records of the tier away")
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench-work")
    asked = parser.parse_args()
    bench = Bench(asked.tier, asked.folder / asked.tier, asked.threads, asked.repeats)
    if asked.what != "report":
        if not SHARED.is_dir():
            raise SystemExit(f"No data in {SHARED}: set CUTPOINT_SHARED to the folder with data and weights.")
        if not PEERS_PYTHON.exists():
            raise SystemExit("The peers are not installed: `make .peers-venv/.installed` does it.")
        if asked.again:
            shutil.rmtree(bench.folder, ignore_errors=True)
        bench.prepare()
        bench.run(asked.work)
        if asked.tier in REPORTED:
            publish(bench.records(), RESULTS / f"{asked.tier}.json")
    if asked.what != "run":
        write_report(RESULTS, ROOT / "docs")


main()
