"""`cutpoint audit`: what is understood of the data and what is odd in them, before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from cutpoint.cli import options
from cutpoint.cli.repeated import next_command
from cutpoint.cli.screen import results, write
from cutpoint.errors import DataError

if TYPE_CHECKING:
    from cutpoint.audit import Repair
    from cutpoint.backbones.backbone import Backbone
    from cutpoint.backbones.from_transformers.tokenizer import TextInputs
    from cutpoint.types import Audit, Dataset

LEAKS = 4
"""Exit code where copies of training examples are judged on."""
_TRAINED = "reverse"
_OPENING, _CLOSING = "⟦", "⟧"

Piece = tuple[str, bool]
"""A piece of a text, and whether it is trained."""


def audit(
    data: options.Data,
    show_mask: Annotated[
        bool,
        typer.Option(
            "--show-mask", help="Show which tokens of chats and texts a language model is trained on."
        ),
    ] = False,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            "-b",
            metavar="NAME|FOLDER",
            help="Pretrained network in whose features doubtful labels, near duplicates and shift are looked for; a "
            "text model's tokenizer also counts and cuts the texts.",
            show_default="none",
        ),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows that --show-mask shows.")] = 3,
    max_length: options.MaxLength = None,
    input_column: options.InputColumn = None,
    target_column: options.TargetColumn = None,
    task: options.TaskKind = None,
    group: options.Group = None,
    fix: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.csv",
            help="Write new splits in which copies stand on one side; the data are not touched.",
            show_default="none",
        ),
    ] = None,
    review: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.csv",
            help="Write the doubtful labels as a list to fill in, for `cutpoint fit --labels`; of images and texts it "
            "needs --backbone.",
            show_default="none",
        ),
    ] = None,
    image_size: options.ImageSize = None,
    cache: options.Cache = None,
    as_json: options.Json = False,
) -> None:
    """Show what is understood of the data and what is odd in them: copies, leaks, clashing labels, shortcuts.

    Exit code 4 where copies of training examples stand in the validation or test split, unless --fix is given. With
    --show-mask, trained tokens are highlighted, or in ⟦ ⟧ where the output is no terminal.
    """
    from cutpoint.audit import check_new_table, examine_content, write_splits
    from cutpoint.cli.counter import counter
    from cutpoint.cli.found import show_audit
    from cutpoint.data import load_dataset, summarise
    from cutpoint.data.corrected import write_review
    from cutpoint.data.summary import describe

    if fix is not None:
        check_new_table(fix)
    dataset = load_dataset(
        data,
        input_column=input_column,
        target_column=target_column,
        task=task,
        group=group,
        max_unreadable=1.0,
    )
    with counter("auditing the data") as count:
        examined = examine_content(dataset, count)
    dataset, found = examined.dataset, examined.audit
    loaded = _loaded(dataset, backbone, max_length, image_size, show_mask=show_mask, review=review)
    tokens = _tokens_of(loaded)
    if loaded is not None:
        found = _second_pass(dataset, loaded, cache, found)
    if review is not None:
        write_review(found.label_issues, review)
    chosen = {
        "input_column": input_column,
        "target_column": target_column,
        "task": task,
        "group": group,
        "max_length": max_length,
        "image_size": image_size,
    }
    facts: dict[str, Any] = {
        "understood": describe(replace(dataset, quarantined=())),
        "task": dataset.task.model_dump(mode="json"),
        "data": summarise(dataset).model_dump(mode="json"),
        "audit": found.model_dump(mode="json"),
    }
    named = [backbone] if backbone else None
    masks: list[list[Piece]] = []
    if tokens is not None:
        facts |= _token_facts(dataset, tokens)
        masks = [tokens.describe_mask(text) for text in dataset.inputs[:rows]] if show_mask else []
    repair = None if fix is None else write_splits(dataset, examined.alike, fix)
    if repair is not None:
        facts["fixed"] = asdict(repair)
    if as_json:
        write(json.dumps({**facts, "masks": masks} if show_mask else facts, indent=1, ensure_ascii=False))
    else:
        _show(facts, results())
        for name, mask in zip(dataset.names, masks, strict=False):
            _show_mask(name, mask, results())
        show_audit(found, results())
        if review is not None:
            refit = next_command("fit", data, named, chosen, "--labels", str(review))
            _show_review(review, len(found.label_issues), refit, results())
        mend = next_command("audit", data, named, chosen, "--fix", "fixed.csv")
        following = mend if found.leaks else next_command("fit", data, named, chosen)
        _show_next(repair, following, results())
    if found.leaks and repair is None:
        raise typer.Exit(LEAKS)


def _show_next(repair: Repair | None, following: str, console: Console) -> None:
    """What was written, and the next command to type; that of new splits is their own."""
    from cutpoint.data.collected import few

    console.print()
    if repair is None:
        console.print(f"Next: {following}", markup=False, soft_wrap=True)
        return
    sizes = ", ".join(f"{count:,} {name}" for name, count in repair.rows.items())
    console.print(f"Wrote {repair.file}: {sizes}.", markup=False, soft_wrap=True)
    if repair.left_out:
        console.print(
            f"Left out, {len(repair.left_out):,} copies of what is judged on: {few(repair.left_out)}.",
            markup=False,
        )
    for clash in repair.conflicts:
        console.print(f"Labels to decide: {clash}", markup=False)
    console.print(f"Next: {repair.command}", markup=False, soft_wrap=True)


def _show_review(review: Path, count: int, refit: str, console: Console) -> None:
    console.print()
    console.print(
        f"Wrote {review}: {count:,} doubtful labels, least likely first. Fill in “corrected” where a label is wrong, "
        f"then: {refit}",
        markup=False,
        soft_wrap=True,
    )


def _loaded(
    dataset: Dataset,
    backbone: str | None,
    max_length: int | None,
    image_size: int | None,
    *,
    show_mask: bool,
    review: Path | None,
) -> Backbone | None:
    """The backbone that was named, as its task uses it; rows of numbers are reviewed as they are."""
    if show_mask and dataset.task.kind != "language":
        raise DataError(
            f"--show-mask is for language modelling, and the task is {dataset.task.kind}.",
            "Leave it out, or say --task language.",
        )
    if backbone is None:
        if max_length is not None:
            raise DataError("--max-length needs a tokenizer.", "Name a text model with --backbone.")
        if show_mask:
            raise DataError("--show-mask needs a tokenizer.", "Name a language model with --backbone.")
        from cutpoint.types import WITHOUT_BACKBONE

        if review is not None and dataset.modality in WITHOUT_BACKBONE:
            from cutpoint.planning.entries import numbers_of

            return numbers_of(dataset)
        if review is not None or image_size is not None:
            raise DataError("--review and --image-size need features.", "Name a network with --backbone.")
        return None
    from cutpoint.backbones.load import load_backbone
    from cutpoint.planning.entries import readout_for

    readout = readout_for(dataset.task)
    return load_backbone(
        backbone, modality=dataset.modality, readout=readout, max_length=max_length, image_size=image_size
    )


def _tokens_of(backbone: Backbone | None) -> TextInputs | None:
    from cutpoint.backbones.from_transformers.tokenizer import TextInputs

    return backbone.inputs if backbone is not None and isinstance(backbone.inputs, TextInputs) else None


def _second_pass(dataset: Dataset, backbone: Backbone, cache: Path | None, found: Audit) -> Audit:
    """What the backbone's features tell, beside what was found without them."""
    from cutpoint.cli.watch import race_watcher
    from cutpoint.features.store import ActivationCache
    from cutpoint.survey.second_audit import audit_with_backbone

    with race_watcher() as watcher:
        return audit_with_backbone(dataset, backbone, ActivationCache(cache), audit=found, watcher=watcher)


def _token_facts(dataset: Dataset, tokens: TextInputs) -> dict[str, dict[str, int]]:
    """Tokens that are cut off; for a language model, those that are trained."""
    longer, longest = tokens.count_truncated(dataset.inputs)
    lengths = {"max_length": tokens.preprocessing.max_length, "truncated": longer, "longest": longest}
    trained = {"mask": _trained_counts(dataset, tokens)} if dataset.task.kind == "language" else {}
    return {"texts": lengths, **trained}


def _trained_counts(dataset: Dataset, tokens: TextInputs) -> dict[str, int]:
    """Tokens, those of them that are trained, and rows without any.

    Raises:
        DataError: Nothing is trained.
    """
    masks = [[is_trained for _, is_trained in tokens.describe_mask(text)] for text in dataset.inputs]
    counts = {
        "tokens": sum(map(len, masks)),
        "trained": sum(map(sum, masks)),
        "rows_without": sum(not any(mask) for mask in masks),
    }
    if counts["trained"] == 0:
        raise DataError(
            f"none of the {counts['tokens']:,} tokens of {dataset.source} is trained: what is to be learned stands "
            f"behind token {tokens.preprocessing.max_length}, where texts are cut off.",
            "Raise --max-length, or shorten the prompts.",
        )
    return counts


def _show(facts: dict[str, Any], console: Console) -> None:
    lines = [facts["understood"], *(f"{note[0].upper()}{note[1:]}." for note in facts["data"]["notes"])]
    if "texts" in facts:
        texts, total = facts["texts"], sum(facts["data"]["rows"].values())
        lines.append(
            f"Texts cut off at {texts['max_length']:,} tokens: {texts['truncated']:,} of {total:,}; the longest has "
            f"{texts['longest']:,}."
        )
    if "mask" in facts:
        mask = facts["mask"]
        lines.append(
            f"{mask['trained']:,} of {mask['tokens']:,} tokens are trained; rows without any: {mask['rows_without']:,}."
        )
    lines += [f"Set aside: {each['name']}: {each['reason']}" for each in facts["data"]["quarantined"]]
    for line in lines:
        console.print(line, markup=False)


def _show_mask(name: str, pieces: Sequence[Piece], console: Console) -> None:
    trained = sum(is_trained for _, is_trained in pieces)
    console.print()
    console.print(f"{name}: {trained:,} of {len(pieces):,} tokens are trained", style="bold", markup=False)
    in_colour = console.is_terminal and not console.is_dumb_terminal
    text = Text()
    for is_trained, run in groupby(pieces, key=lambda piece: piece[1]):
        words = "".join(piece for piece, _ in run)
        if in_colour:
            text.append(words, style=_TRAINED if is_trained else "")
        else:
            text.append(f"{_OPENING}{words}{_CLOSING}" if is_trained else words)
    console.print(text, soft_wrap=True)
