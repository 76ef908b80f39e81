"""What is said of raw tables and of signals: no pretrained network here fits them."""

from __future__ import annotations

from cutpoint.types import Dataset, Finding, SignalPreprocessing


def raw_data(dataset: Dataset) -> list[Finding]:
    """The finding that nothing is transferred to a raw table, sounds or series; none on other data."""
    if dataset.signals is not None:
        return [_signals(dataset.signals)]
    return [_table(dataset)] if dataset.columns else []


def _table(dataset: Dataset) -> Finding:
    kinds = [column.kind for column in dataset.columns]
    blanks = sum(column.has_blanks for column in dataset.columns)
    return Finding(
        code="raw-table",
        severity="info",
        text="No pretrained backbone fits rows of numbers; what is raced is trained from scratch.",
        evidence=f"{kinds.count('number')} columns of numbers ({blanks} with blanks), "
        f"{kinds.count('category')} of categories, {sum(column.width for column in dataset.columns)} numbers a row",
        remedy="Gradient-boosted trees and heads on the columns are the compact models here. Transfer needs images "
        "or texts that stand behind the rows.",
    )


def _signals(read: SignalPreprocessing) -> Finding:
    if read.rate is not None:
        evidence = f"sounds of {read.rate:,} samples a second or more, {read.width} numbers each (bands, their course)"
        remedy = (
            "Heads and trees on these numbers are the compact models here. To race image backbones too, give a picture "
            "of each sound's spectrogram: of spoken digits the numbers told more, of other sounds compare both."
        )
    else:
        evidence = f"series of {read.channels} channels, {read.width} numbers each (quantiles of intervals)"
        remedy = (
            "Heads and trees on these numbers are the compact models here. Images are to be given as uint8."
        )
    return Finding(
        code="raw-signal",
        severity="info",
        text="No pretrained backbone here fits signals; what is raced is trained from scratch on numbers made of each.",
        evidence=evidence,
        remedy=remedy,
    )
