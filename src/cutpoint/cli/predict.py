"""`cutpoint predict` and `cutpoint evaluate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutpoint.cli import options
from cutpoint.cli.counter import counter
from cutpoint.cli.screen import on_one_line, results, talk, write

if TYPE_CHECKING:
    from cutpoint.cli.answers import Answer

INPUTS_FAILED = 3
"""Exit code where some inputs could not be read; the others were predicted."""


def predict(
    model: options.ModelFolder,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUTS…",
            help="Images and folders of images; texts, tables of texts, or - for lines on stdin; tables of numbers.",
        ),
    ],
    proba: Annotated[
        bool, typer.Option("--proba", help="Give the probability of every class, not only the best.")
    ] = False,
    input_column: options.TextColumn = None,
    backbone_path: options.BackbonePath = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Predict with a model that `cutpoint fit` made.

    One line an input: its path or text, the label, the probability, separated by tabs; of words the tags, of a
    prompt what follows. Texts are named as they are, in quotes, or as a .csv, .tsv, .jsonl or .parquet table whose
    columns are told as in `cutpoint fit`, or a .txt file with one a line. A sentence to be tagged is split at
    spaces, or comes as JSON lines with tokens; of chats the next answer is written. What cannot be read is listed on
    stderr, the others predicted, and the exit code is 3.
    """
    from cutpoint import api
    from cutpoint.cli.answers import Answers
    from cutpoint.cli.asked import asked_of
    from cutpoint.runtime import set_threads

    set_threads(threads)
    found = api.load(model, backbone_path=backbone_path)
    answers = Answers(found, asked_of(found, inputs, input_column), with_probabilities=proba)
    show = _as_json if as_json else _as_lines
    # Where results stream to the terminal they are the progress.
    with nullcontext(lambda done, total: None) if sys.stdout.isatty() else counter("predicting") as count:
        failed = show(_counted(answers, count))
    if failed:
        talk().print(f"{failed:,} of {len(answers):,} inputs could not be read.", style="yellow")
        raise typer.Exit(INPUTS_FAILED)


def evaluate(
    model: options.ModelFolder,
    data: options.Data,
    split: Annotated[
        str | None,
        typer.Option(
            help="train, val or test.", show_default="test where the data have one, else all", metavar="SPLIT"
        ),
    ] = None,
    input_column: options.InputColumn = None,
    target_column: options.TargetColumn = None,
    group: options.Group = None,
    backbone_path: options.BackbonePath = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Score a model on labelled data, with a 95 % interval."""
    from cutpoint import api
    from cutpoint.reports import format
    from cutpoint.runtime import set_threads

    set_threads(threads)
    found = api.load(model, backbone_path=backbone_path)
    with counter("evaluating") as count:
        score = api.evaluate(
            found,
            data,
            split=split,
            on_progress=count,
            on_message=lambda text: talk().print(text, markup=False),
            input_column=input_column,
            target_column=target_column,
            group=group,
        )
    if as_json:
        write(score.model_dump_json(indent=1))
        return
    name = format.metric_name(score.metric)
    words = f"{name}: {format.score(score)}, 95 % interval {format.interval(score)}"
    results().print(f"{words}, {format.plural(score.n, 'example')}.", markup=False)


def _counted(answers: Any, count: Any) -> Iterator[Answer]:
    for done, answer in enumerate(answers, start=1):
        yield answer
        count(done, len(answers))


def _as_lines(answers: Iterator[Answer]) -> int:
    """Lines for people and for `cut`; returns how many inputs failed."""
    failed = 0
    for answer in answers:
        if answer.error:
            failed += 1
            talk().print(f"unreadable: {answer.error}", markup=False, soft_wrap=True)
            continue
        write("\t".join([on_one_line(answer.name), *answer.words()]))
    return failed


def _as_json(answers: Iterator[Answer]) -> int:
    """One JSON array, written as it grows and closed whatever happens; returns how many inputs failed."""
    failed, separator = 0, "["
    try:
        for answer in answers:
            failed += bool(answer.error)
            sys.stdout.write(f"{separator}\n {json.dumps(answer.facts(), ensure_ascii=False)}")
            separator = ","
    finally:
        write("[]" if separator == "[" else "\n]")
    return failed
