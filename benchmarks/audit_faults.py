"""What the audit of content catches: each fault planted into real sets, and what it says of them without one.

python -m benchmarks.audit_faults            measures (benchmarks/audit_faults.json) and writes the tables
python -m benchmarks.audit_faults --tables   writes the tables of docs/concepts/audit.md from that file
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutpoint.audit import Examined, examine_content
from cutpoint.audit.repair import one_side
from cutpoint.data import load_dataset
from cutpoint.types import Dataset, Finding

from .page import put

if TYPE_CHECKING:
    from planted_data_faults import Fault

_REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("CUTPOINT_SHARED", _REPOSITORY.parent / "shared"))
FIGURES = _REPOSITORY / "benchmarks" / "audit_faults.json"
PAGE = _REPOSITORY / "docs" / "concepts" / "audit.md"
PLANTED = {
    "image": ("vision/clothing10", "vision/bccd3", "vision/deeppcb6"),
    "text": ("text/medical_abstracts", "text/banking77", "text/snips_intents"),
}
STRICTER = {
    "leaked-twins": ("leaked-duplicates",),
    "near-duplicates-across": ("leaked-duplicates", "leaked-twins"),
}
"""Findings that say more of the same: two-coloured drawings have the same pixels when they are made brighter."""
AS_GIVEN = (
    *PLANTED["image"],
    "text/medical_abstracts",
    "text/clinc150_small",
    "text/banking77",
    "text/snips_intents",
    "text/csabstruct",
    "text/citation_intent",
    "text/stsb",
    "text/wnut17",
    "text/ncbi_disease",
)


def main() -> None:
    """Measure, unless only the tables are asked for; then write them."""
    if "--tables" not in sys.argv:
        figures = {"as given": [_as_given(name) for name in AS_GIVEN], "planted": _planted()}
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    put(PAGE, "audit: faults", _fault_table(figures["planted"]))
    put(PAGE, "audit: sets", _set_table(figures["as given"]))


def _as_given(name: str) -> dict[str, Any]:
    dataset = load_dataset(SHARED / "data" / name)
    started = time.monotonic()
    examined = examine_content(dataset)
    print(name, flush=True)
    return {
        "set": name.split("/")[1],
        "rows": len(dataset),
        "seconds": round(time.monotonic() - started, 2),
        "findings": [[finding.severity, finding.code, finding.text] for finding in examined.audit.findings],
    }


def _planted() -> list[dict[str, Any]]:
    sys.path.insert(0, str(_REPOSITORY / "tests" / "audit"))
    from planted_data_faults import FAULTS

    outcomes = []
    for modality, names in PLANTED.items():
        for name in names:
            clean = _cleaned(load_dataset(SHARED / "data" / name))
            before = examine_content(clean).audit.findings
            for fault in FAULTS:
                if fault.modality == modality:
                    outcomes.append(_outcome(name.split("/")[1], clean, before, fault))
                    print(outcomes[-1], flush=True)
    return outcomes


def _cleaned(dataset: Dataset) -> Dataset:
    """The set without copies across its splits."""
    examined: Examined = examine_content(dataset)
    return replace(dataset, splits=one_side(dataset, examined.alike.families))


def _outcome(name: str, clean: Dataset, before: tuple[Finding, ...], fault: Fault) -> dict[str, Any]:
    audit = examine_content(fault.plant(clean)).audit
    told = {(finding.text, finding.evidence) for finding in before}
    fresh = {finding.code for finding in audit.findings if (finding.text, finding.evidence) not in told}
    return {
        "fault": fault.name,
        "code": fault.code,
        "set": name,
        "caught": bool(fresh & {fault.code, *STRICTER.get(fault.code, ())}),
        "false alarm": any(finding.code == fault.code and finding.severity != "info" for finding in before),
    }


def _fault_table(outcomes: list[dict[str, Any]]) -> str:
    lines = ["| fault planted | finding | caught in | said without it |", "|---|---|---|---|"]
    for fault in dict.fromkeys((each["fault"], each["code"]) for each in outcomes):
        own = [each for each in outcomes if (each["fault"], each["code"]) == fault]
        caught = sum(each["caught"] for each in own)
        missed = [each["set"] for each in own if not each["caught"]]
        alarms = [each["set"] for each in own if each["false alarm"]]
        where = f"{caught} of {len(own)}" + (f" (not {', '.join(missed)})" if missed else "")
        lines.append(
            f"| {fault[0]} | {fault[1].replace('-', ' ')} | {where} | {', '.join(alarms) or 'nowhere'} |"
        )
    return "\n".join(lines)


def _set_table(sets: list[dict[str, Any]]) -> str:
    lines = ["| set | examples | errors | warnings | seconds |", "|---|---|---|---|---|"]
    for each in sets:
        told = {
            severity: "; ".join(
                _short(code, text) for found, code, text in each["findings"] if found == severity
            )
            for severity in ("error", "warning")
        }
        lines.append(
            f"| {each['set']} | {each['rows']:,} | {told['error'] or 'none'} | {told['warning'] or 'none'} | "
            f"{each['seconds']:.1f} |"
        )
    return "\n".join(lines)


def _short(code: str, text: str) -> str:
    """The count that begins a finding's text, or the feature of a shortcut."""
    name = code.replace("-", " ")
    count = re.match(r"([\d,]+ of [\d,]+ \w+ examples \([^)]*\)) stand in the (\w+)", text)
    if count:
        return f"{count[1].replace(' examples', '')} in {count[2]}"
    twin = re.match(r"Of the ([\d,]+) (\w+) examples ([\d,]+) (?:is|are)", text)
    if twin:
        return f"{name}: {twin[3]} of {twin[1]} {twin[2]}"
    feature = re.match(r"The (.*) alone predicts", text)
    return f"{name}: {feature[1]}" if feature else f"{name}: {text.split()[0]}"


if __name__ == "__main__":
    main()
