"""`cutpoint report`: without torch, so that it starts at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cutpoint.cli import options
from cutpoint.cli.screen import results, write


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run folder, as given to `cutpoint fit --out`.")
    ],
    as_json: options.Json = False,
) -> None:
    """Make RUN/report.html anew from RUN/result.json, and show the result again."""
    from cutpoint.reports import print_result, read_result, write_report

    page = write_report(run)
    result = read_result(run)
    if as_json:
        write(result.model_dump_json(indent=1))
        return
    console = results()
    print_result(result, console)
    console.print(f"Written: {page}", markup=False, soft_wrap=True)
