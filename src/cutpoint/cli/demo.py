"""`cutpoint demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cutpoint.cli import options
from cutpoint.cli.fit import INTERRUPTED, show_result
from cutpoint.cli.screen import results, talk, write

_FOLDER = Path("cutpoint-demo")


def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the digits and the run go.")] = _FOLDER,
    as_json: options.Json = False,
) -> None:
    """Adapt the embedded network to handwritten digits: race, verdict, report, prediction. No network needed."""
    try:
        from cutpoint import demo as digits
        from cutpoint.cli.watch import race_watcher

        with race_watcher() as watcher:
            shown = digits.run(out, watcher=watcher)
    except KeyboardInterrupt:
        talk().print("Interrupted. The same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        write(shown.result.model_dump_json(indent=1))
    if shown.result.status == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if not as_json:
        show_result(shown.result, as_json=False)
        results().print(shown.words, markup=False)
