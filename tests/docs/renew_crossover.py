"""Puts the measurements of benchmarks/text_crossover.py into the page that shows them.

`python tests/docs/renew_crossover.py`; a test compares the page with the measurements where it shows any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pages import REPOSITORY

PAGE = REPOSITORY / "docs" / "guides" / "how-much-of-a-text-encoder.md"
MEASURED = REPOSITORY / "benchmarks" / "text_crossover.json"
PICTURE = "![Validation accuracy against the number of training texts](../images/text-crossover.png)"
_BLOCK = re.compile(r"(?<=<!-- crossover: begin -->\n).*?(?=<!-- crossover: end -->)", re.DOTALL)

Row = dict[str, Any]


def shown(page: str) -> str:
    """What stands between the marks; empty where nothing was put in yet."""
    found = _BLOCK.search(page)
    assert found is not None, "the page has lost its marks"
    return found[0]


def block(measured: Path = MEASURED) -> str:
    """Picture and table, from the measurements."""
    rows = json.loads(measured.read_text(encoding="utf-8"))
    return f"{PICTURE}\n\n{table(rows)}\n"


def table(rows: Sequence[Row]) -> str:
    """A line a race: accuracy of each trial in per cent with its 95 % interval, and the test score of what ships."""
    trials = list(dict.fromkeys(row["trial"] for row in rows))
    races = dict.fromkeys((row["set"], row["labels"], row["train_rows"]) for row in rows)
    heads = ["set", "labels a class", "texts", *(f"`{trial}`" for trial in trials), "ships", "its test score"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for race in sorted(races, key=lambda each: (each[0], each[2])):
        own = {row["trial"]: row for row in rows if (row["set"], row["labels"], row["train_rows"]) == race}
        ships = next((row for row in own.values() if row["ships"]), None)
        cells = [f"`{race[0]}`", race[1], f"{race[2]:,}".replace(",", " ")]
        cells += [percent(own[trial]["validation"]) if trial in own else "–" for trial in trials]
        cells += [f"`{ships['trial']}`", percent(ships["test"])] if ships else ["–", "–"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def percent(score: Row | None) -> str:
    if score is None:
        return "–"
    value, low, high = (100 * score[key] for key in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}–{high:.1f}]"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_BLOCK.sub(lambda _: block(), text), encoding="utf-8")
