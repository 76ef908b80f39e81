"""What is said of rows of numbers: no pretrained network fits them."""

from __future__ import annotations

from cutpoint.types import Dataset, Finding


def raw_table(dataset: Dataset) -> list[Finding]:
    """The finding that nothing is transferred to a raw table; none on other data."""
    if not dataset.columns:
        return []
    kinds = [column.kind for column in dataset.columns]
    blanks = sum(column.has_blanks for column in dataset.columns)
    return [
        Finding(
            code="raw-table",
            severity="info",
            text="No pretrained backbone fits rows of numbers; what is raced is trained from scratch.",
            evidence=f"{kinds.count('number')} columns of numbers ({blanks} with blanks), "
            f"{kinds.count('category')} of categories, {sum(column.width for column in dataset.columns)} numbers a row",
            remedy="Gradient-boosted trees and heads on the columns are the compact models here. Transfer needs images "
            "or texts that stand behind the rows.",
        )
    ]
