"""Each check of the audit of content fires on a planted fault and is silent on clean data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # planted_data_faults.py stands beside the tests

from planted_data_faults import FAULTS, Fault, clean_images, clean_texts

from cutpoint.audit import examine_content
from cutpoint.data import load_dataset
from cutpoint.types import Dataset

_CLEAN = {"image": clean_images, "text": clean_texts}


def _codes(dataset: Dataset) -> dict[str, str]:
    """Code of each finding → its severity."""
    return {finding.code: finding.severity for finding in examine_content(dataset).audit.findings}


@pytest.mark.parametrize("modality", ["image", "text"])
@pytest.mark.parametrize("seed", range(3))
def test_clean_data_are_silent(modality: str, seed: int) -> None:
    examined = examine_content(_CLEAN[modality](seed=seed))
    assert examined.audit.findings == ()
    assert examined.audit.class_weights == {"elm": 1.0, "oak": 1.0}
    assert {"leaks", "duplicates", "conflicting-labels", "imbalance", "shortcuts"} <= set(
        examined.audit.checked
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_told(fault: Fault) -> None:
    codes = _codes(fault.plant(_CLEAN[fault.modality]()))
    assert fault.code in codes
    if fault.code.startswith("leaked"):
        assert codes[fault.code] == "error"
    if fault.code in ("shortcut", "tiny-classes", "ungrouped", "burst-shots", "conflicting-labels"):
        assert codes[fault.code] == "warning"
    assert set(codes) <= {fault.code, *_COMPANIONS.get(fault.code, ())}


_COMPANIONS = {
    "leaked-twins": ("near-duplicates-across",),
    # What a fault brings along by its nature.
    "conflicting-labels": ("duplicates",),
    "tiny-classes": ("imbalance",),
    "imbalance": ("tiny-classes",),
    "shortcut": ("leaked-twins", "near-duplicates-across"),
    "burst-shots": ("near-duplicates-across", "near-duplicates"),
}


@pytest.mark.parametrize(
    ("name", "test_texts", "with_other_label"),
    [
        ("citation_intent", 52, 5),
        pytest.param("csabstruct", 173, 2, marks=pytest.mark.slow),
        pytest.param("banking77", 25, 0, marks=pytest.mark.slow),
        pytest.param("medical_abstracts", 0, 0, marks=pytest.mark.slow),
    ],
)
def test_leaks_of_real_sets(shared: Path, name: str, test_texts: int, with_other_label: int) -> None:
    audit = examine_content(load_dataset(shared / "data" / "text" / name)).audit
    told = [leak.text for leak in audit.leaks if " test examples" in leak.text]
    assert len(told) == bool(test_texts)
    if test_texts:
        assert told[0].startswith(f"{test_texts} of ")
        assert (f"Under another label: {with_other_label}." in told[0]) == bool(with_other_label)


@pytest.mark.parametrize(
    ("name", "warnings"),
    [
        pytest.param("clothing10", set(), marks=pytest.mark.slow),
        ("bccd3", {"shortcut"}),
        pytest.param("deeppcb6", {"near-duplicates-across"}, marks=pytest.mark.slow),
    ],
)
def test_real_pictures_have_no_leak(shared: Path, name: str, warnings: set[str]) -> None:
    audit = examine_content(load_dataset(shared / "data" / "vision" / name)).audit
    assert audit.leaks == ()
    assert {finding.code for finding in audit.findings if finding.severity == "warning"} == warnings


def test_speakers_of_recordings_are_told(shared: Path) -> None:
    from cutpoint.audit.naming import ungrouped

    folder = shared / "data" / "audio" / "fsdd"
    names = sorted(str(file.relative_to(folder)) for file in folder.glob("*/*/*.wav"))
    rows = {
        split: [row for row, name in enumerate(names) if name.startswith(split)]
        for split in ("train", "test")
    }
    (finding,) = ungrouped(names, [name.split("/")[1] for name in names], rows["train"], rows["test"])
    assert "6 groups, of which 6 stand in train and in test" in finding.text and "jackson" in finding.evidence
