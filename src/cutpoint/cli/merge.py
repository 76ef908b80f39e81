"""`cutpoint merge`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cutpoint.cli import options
from cutpoint.cli.screen import results, write


def merge(
    model: options.ModelFolder,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the merged model goes.")],
    check: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT",
            help="An input, or a file of inputs, as for `cutpoint predict`, on which the change is measured. "
            "Repeat for several.",
            show_default="none",
        ),
    ] = None,
    backbone_path: options.BackbonePath = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Fold a model's adapter into the backbone's weights: plain layers again, as fast as before.

    The folder then stores every weight that changed. LoRA, DoRA and IA3 can be merged. An adapter that was trained on
    a base in 4 bits goes into the full-precision one; --check says what that does to the scores.
    """
    from cutpoint import api
    from cutpoint.cli.asked import asked_of
    from cutpoint.runtime import set_threads

    set_threads(threads)
    found = api.load(model, backbone_path=backbone_path)
    inputs = list(asked_of(found, check).inputs) if check else []
    change = api.merge(found, out, inputs=inputs)
    if as_json:
        write(json.dumps({"model": str(out), "checked": len(inputs), "largest_change": change}))
        return
    told = "" if change is None else f" Scores change by {change:.2g} at most on {len(inputs):,} inputs."
    results().print(f"Merged: {out}.{told}", markup=False, soft_wrap=True)
