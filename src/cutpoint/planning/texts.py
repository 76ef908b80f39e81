"""What happens to texts before the race: what is too long is told, and documents of language models share rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cutpoint.backbones.from_transformers.tokenizer import TextInputs
from cutpoint.backbones.tokens import MARKS
from cutpoint.data.splits import holdout
from cutpoint.errors import BackboneError, DataError
from cutpoint.features.packing import pack
from cutpoint.planning.plan import Entry
from cutpoint.planning.settings import Settings
from cutpoint.planning.watcher import Watcher
from cutpoint.types import Dataset

_NAMED = 5


def as_tokens(dataset: Dataset, entries: Sequence[Entry], settings: Settings, watcher: Watcher) -> Dataset:
    """Texts with a note on those that are too long and, for language modelling, with packed training documents.

    Args:
        dataset: Any data; what is no text for a network stays as it is.
        entries: The first one's tokenizer is asked.
        settings: Say whether to pack, and which share is held out first.
        watcher: Hears of what is cut off.

    Raises:
        BackboneError: Language models of different tokenizers.
        DataError: Too few documents to hold some out, or none of which anything is learned.
    """
    inputs = entries[0].backbone.inputs
    if not isinstance(inputs, TextInputs):
        return dataset
    limit = inputs.preprocessing.max_length
    longer, longest = inputs.count_truncated(dataset.inputs)
    if longer:
        note = f"texts cut off at {limit} tokens: {longer:,} of {len(dataset):,}; the longest has {longest:,}"
        watcher.on_message(f"{note[0].upper()}{note[1:]}.")
        dataset = replace(dataset, notes=(*dataset.notes, note))
    if dataset.task.kind != "language":
        return dataset
    _check_tokens_alike(entries)
    dataset = _without_unlearnable(dataset, inputs, watcher)
    reason = _why_not_packed(entries)
    if settings.pack and reason:
        watcher.on_message(f"Documents do not share rows: {reason}.")
    return pack(_with_validation(dataset, settings), inputs) if settings.pack and not reason else dataset


def _check_tokens_alike(entries: Sequence[Entry]) -> None:
    """Raise where perplexities would be of different tokens: the lower one says nothing then."""
    found = {entry.backbone.preprocessing.model_dump_json(exclude={"made_by"}) for entry in entries}
    if len(found) > 1:
        names = ", ".join(entry.backbone.name for entry in entries)
        raise BackboneError(
            f"The language models {names} do not split texts into the same tokens, so their perplexities cannot be "
            "compared.",
            "race each in a run of its own",
        )


def _without_unlearnable(dataset: Dataset, inputs: TextInputs, watcher: Watcher) -> Dataset:
    """The splits without the texts of which nothing is to be learned in front of the limit, as of a long prompt."""
    learned = np.array([bool((inputs.prepare(text)[MARKS] > 0).any()) for text in dataset.inputs])
    if learned.all():
        return dataset
    limit, splits = (
        inputs.preprocessing.max_length,
        {n: rows[learned[rows]] for n, rows in dataset.splits.items()},
    )
    lost = np.flatnonzero(~learned)
    named = ", ".join(dataset.names[row] for row in lost[:_NAMED]) + (", …" if len(lost) > _NAMED else "")
    note = f"texts of which nothing to be learned is left at {limit} tokens: {len(lost):,} ({named})"
    empty = [name for name, rows in splits.items() if not len(rows) and len(dataset.splits[name])]
    if empty:
        raise DataError(
            f"Nothing is to be learned from the {empty[0]} split of {dataset.source}: what comes first fills the "
            f"{limit} tokens of every text.",
            "Allow more tokens with --max-length, or shorten the prompts.",
        )
    watcher.on_message(f"{note[0].upper()}{note[1:]}; they are left out.")
    return replace(dataset, splits=splits, notes=(*dataset.notes, note))


def _why_not_packed(entries: Sequence[Entry]) -> str:
    """What keeps documents from sharing rows; "" where nothing does."""
    for entry in entries:
        if not entry.backbone.module.reading.packs:  # type: ignore[union-attr]
            return f"{entry.backbone.name} would mix them"
        for regime in entry.regimes:
            if regime.adapter is not None and regime.adapter.is_virtual:
                return f"the virtual tokens of {regime.name} stand in front of a row, once"
    return ""


def _with_validation(dataset: Dataset, settings: Settings) -> Dataset:
    """The data with documents held out for validation, unless they came with some: what is judged is judged alone."""
    if len(dataset.splits.get("val", ())):
        return dataset
    train, held = holdout(
        dataset, dataset.splits["train"], fraction=settings.validation_fraction, seed=settings.seed
    )
    return replace(
        dataset, splits={**dataset.splits, "train": train, "val": held}, validation_origin="held out"
    )
