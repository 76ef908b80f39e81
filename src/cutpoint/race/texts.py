"""What happens to texts before the race: what is too long is told, and documents of language models share rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cutpoint.backbones.from_transformers.tokenizer import TextInputs
from cutpoint.data.splits import holdout
from cutpoint.errors import BackboneError
from cutpoint.features.packing import pack
from cutpoint.race.race import Entry
from cutpoint.race.settings import Settings
from cutpoint.race.watcher import Watcher
from cutpoint.types import Dataset


def as_tokens(dataset: Dataset, entries: Sequence[Entry], settings: Settings, watcher: Watcher) -> Dataset:
    """Texts with a note on those that are too long and, for language modelling, with packed training documents.

    Args:
        dataset: Any data; what is no text for a network stays as it is.
        entries: The first one's tokenizer is asked.
        settings: Say whether to pack, and which share is held out first.
        watcher: Hears of what is cut off.

    Raises:
        BackboneError: Language models of different tokenizers.
        DataError: Too few documents to hold some out.
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


def _why_not_packed(entries: Sequence[Entry]) -> str:
    """What keeps documents from sharing rows; "" where nothing does."""
    for entry in entries:
        if not entry.backbone.module.reading.packs:  # type: ignore[union-attr]
            return f"{entry.backbone.name} would mix them"
        for regime in entry.regimes:
            if regime.adapter is not None and regime.adapter.kind in ("prefix", "prompt"):
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
