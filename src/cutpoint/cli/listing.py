"""`cutpoint list backbones|regimes`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

import typer
from rich.table import Table
from rich.text import Text

from cutpoint.cli import options
from cutpoint.cli.counter import counter
from cutpoint.cli.screen import results, write

if TYPE_CHECKING:
    from cutpoint.backbones.table import KnownBackbone

application = typer.Typer(help="Show what Cutpoint knows: backbones or regimes.", no_args_is_help=True)


@application.command()
def regimes(as_json: options.Json = False) -> None:
    """Show every named regime with what the field says of it."""
    from cutpoint.regimes import named_regimes

    audiences = _audiences()
    if as_json:
        rows = [
            {**regime.model_dump(mode="json"), "auto": audiences.get(regime.name, [])}
            for regime in named_regimes()
        ]
        write(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    table = _table()
    table.add_column("regime", no_wrap=True)
    headings = (("auto", 4), ("data", 13), ("time", 8), ("accuracy", 9), ("risk", 11), ("stored", 8))
    for heading, width in headings:
        table.add_column(heading, max_width=width, overflow="fold")
    table.add_column("best for", overflow="fold")
    for regime in named_regimes():
        told = regime.attributes
        raced = "".join(audience[0] for audience in audiences.get(regime.name, []))
        cells = (raced, told.data, told.time, told.accuracy, told.risk, told.stored, told.best_for)
        table.add_row(Text(regime.name, style="bold"), *(Text(cell) for cell in cells))
    console = results()
    console.print(table)
    console.print(
        "Auto: raced where no regime is named, on images (i), texts (t), with language models (l) or on"
    )
    console.print(
        "plain features (f). Data, time, accuracy and risk are the field's common account, not measured;"
    )
    console.print("`cutpoint fit` measures. --json shows every phase and option.")


def _audiences() -> dict[str, list[str]]:
    """Regime → the data for which it races where no regime is named."""
    from cutpoint.regimes import Audience, resolve_regimes

    found: dict[str, list[str]] = {}
    for audience in get_args(Audience):
        for regime in resolve_regimes("auto", audience):
            found.setdefault(regime.name, []).append(audience)
    return found


@application.command()
def backbones(as_json: options.Json = False) -> None:
    """Show the backbones that the advisor knows, and whether each can be had now.

    Any other timm model, Hugging Face model of images or texts, or local folder can be named too.
    """
    from cutpoint.backbones.table import known_backbones

    with counter("looking which can be reached") as count:
        rows = []
        for done, row in enumerate(known_backbones(), start=1):
            rows.append((row, _reachable(row)))
            count(done, len(known_backbones()))
    if as_json:
        facts = [{**row.model_dump(mode="json", by_alias=True), "reachable": here} for row, here in rows]
        write(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    table = _table()
    table.add_column("backbone", width=24, overflow="fold")
    table.add_column("M params", justify="right", width=8)
    table.add_column("top-1", justify="right", width=5)
    table.add_column("for", width=16)
    table.add_column("licence", width=12)
    table.add_column("trained on", width=16)
    table.add_column("now", width=9)
    for row, here in rows:
        name = Text(row.name, style="bold")
        if row.loads and row.loads != row.name:
            name.append(f"\n{row.loads}", style="not bold dim")
        table.add_row(
            name,
            f"{row.parameters_million:,g}",
            "–" if row.top1 is None else f"{row.top1:g}",
            Text(row.purpose),
            Text(row.licence),
            Text(row.trained_on),
            _reach_words(row, here),
        )
    console = results()
    console.print(table)
    console.print(
        "Any other timm model, hf:OWNER/MODEL or local folder can be named too. Top-1 is ImageNet-1k"
    )
    console.print("accuracy in per cent as commonly published.")


def _reachable(row: KnownBackbone) -> bool:
    from cutpoint.backbones.table import reachable

    return row.loads is not None and reachable(row.loads)


def _reach_words(row: KnownBackbone, here: bool) -> Text:
    if row.loads is None:
        return Text(f"no {row.kind} data yet", style="dim")
    return Text("reachable", style="green") if here else Text("out of reach", style="yellow")


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold underline")
