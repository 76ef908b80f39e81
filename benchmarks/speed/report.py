"""Puts the published records into docs/benchmarks.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..page import put
from .picture import draw
from .ratios import Record
from .rows import ROOT, SHARED
from .tables import missing, tables

REPORTED = ("full", "quick")
"""Tiers whose records are kept and reported; the picture is of the first that was measured."""
PICTURE = "![Seconds of every contender; accuracy over time](images/benchmarks.png)"
_KEPT = ("epochs", "batch_size", "image_size", "max_length", "rate", "seed", "threads")
"""Of a job; the rest are folders of the machine."""
NOTHING = (
    "*No figures yet: they will be taken on an idle machine by the command above, which writes them here.*"
)


def publish(records: Sequence[Record], file: Path) -> None:
    """Copy a tier's records to where they are kept, without the folders of the machine.

    Args:
        records: Of one tier.
        file: JSON of all of them.
    """
    if not records:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(_without_folders(record)) for record in records)
    file.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def write_report(results: Path, docs: Path) -> None:
    """Renew tables and picture.

    Args:
        results: Folder of published records: TIER.json, and TIER-MACHINE.json of other machines.
        docs: The documentation.
    """
    files = sorted(results.glob("*.json"), key=lambda file: (REPORTED.index(_tier(file)), file.stem))
    measured = [(json.loads(file.read_text(encoding="utf-8")), _tier(file)) for file in files]
    text = "\n\n".join(_text(*each) for each in measured) or NOTHING
    if measured:
        draw(measured[0][0], docs / "images" / "benchmarks.png")
        text += f"\n\n{PICTURE}"
    print(text)
    put(docs / "benchmarks.md", "speed tables", text)


def _tier(file: Path) -> str:
    return file.stem.partition("-")[0]


def _text(records: Sequence[Record], tier: str) -> str:
    left = missing(records, tier)
    return tables(records, tier) + (f"\n\nNot complete yet: {', '.join(left)}." if left else "")


def _without_folders(record: Record) -> dict[str, Any]:
    kept = {name: value for name, value in record.items() if name != "job"}
    if "job" in record:
        kept["job"] = {name: record["job"][name] for name in _KEPT}
    if "failed" in kept:
        for folder in (ROOT, SHARED):
            kept["failed"] = kept["failed"].replace(f"{folder}/", "")
    return kept
