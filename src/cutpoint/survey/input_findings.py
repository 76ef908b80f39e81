"""What is odd in how a backbone's inputs are read, before anything is trained."""

from __future__ import annotations

from cutpoint.features.bank import FeatureBank
from cutpoint.survey.normalisation import normalisation_finding
from cutpoint.survey.overrides import override_finding
from cutpoint.types import Dataset, Finding


def input_findings(bank: FeatureBank, dataset: Dataset) -> list[Finding]:
    """A normalisation that does not fit the weights; an image size or text length that costs points.

    Args:
        bank: Of one backbone, as it was asked for.
        dataset: Labels of its rows.
    """
    found = (normalisation_finding(bank), override_finding(bank, dataset))
    return [finding for finding in found if finding is not None]
