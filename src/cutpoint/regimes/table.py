"""The table of named regimes, and the user's own ones from YAML files."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from cutpoint.adapters.adapter import Adapter
from cutpoint.errors import RegimeError
from cutpoint.regimes.regime import Objective, Phase, Regime

Audience = Literal["image", "text", "language", "features"]
"""Who an automatic race is for: a modality, or language modelling."""


HAND_MADE = {
    "tf-idf": "A linear layer on the weights of words and pairs of words; no pretrained network.",
    "image-statistics": "A linear layer on hand-made statistics of the image; no pretrained network.",
}
"""Name → summary of the linear probe on features that no backbone made; rows of the table run on any backbone."""


@cache
def _rows() -> dict[str, tuple[Regime, tuple[Audience, ...]]]:
    """Name → (regime, for whom regimes="auto" races it), in the table's order."""
    text = files("cutpoint.regimes").joinpath("table.yaml").read_text(encoding="utf-8")
    rows = {}
    for row in yaml.safe_load(text):
        auto = tuple(row.pop("auto", ()))
        rows[row["name"]] = (Regime(**row), auto)
    return rows


def named_regimes() -> tuple[Regime, ...]:
    """Every row of the table, cheapest first, presets last."""
    return tuple(regime for regime, _ in _rows().values())


def resolve_regimes(
    regimes: str | Regime | Sequence[str | Regime], audience: Audience = "image"
) -> tuple[Regime, ...]:
    """Turn what a user names into regimes: "auto", "all", names, paths of YAML files, or Regime objects.

    "tf-idf" and "image-statistics" are a linear probe on hand-made features (`HAND_MADE`).

    Args:
        regimes: What the user named.
        audience: Whom "auto" is for.

    Raises:
        RegimeError: An unknown name, or a file that is not a regime.
    """
    if isinstance(regimes, (str, Regime)):
        regimes = [regimes]
    chosen = [regime for entry in regimes for regime in _resolve(entry, audience)]
    names = [regime.name for regime in chosen]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise RegimeError(
            f"The regime {repeated[0]!r} is named twice.", "Give each regime a name of its own."
        )
    return tuple(chosen)


def _resolve(entry: str | Regime, audience: Audience) -> tuple[Regime, ...]:
    if isinstance(entry, Regime):
        return (entry,)
    if entry == "auto":
        return tuple(regime for regime, auto in _rows().values() if audience in auto)
    if entry == "all":
        return named_regimes()
    if entry in _rows():
        return (_rows()[entry][0],)
    if entry in HAND_MADE:
        probe, _ = _rows()["linear-probe"]
        return (probe.model_copy(update={"name": entry, "summary": HAND_MADE[entry]}),)
    if Path(entry).suffix in (".yaml", ".yml"):
        return (read_regime(Path(entry)),)
    near = get_close_matches(entry, (*_rows(), *HAND_MADE), n=3)
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    raise RegimeError(f"There is no regime {entry!r}.", hint + "`cutpoint list regimes` shows all of them.")


def read_regime(path: Path) -> Regime:
    """Read one regime from a YAML file (keys as in `Regime`; the name defaults to the file's).

    Raises:
        RegimeError: The file is missing, is not YAML, or has a key or value that no regime has.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RegimeError(
            f"The regime file {path} cannot be read: {error.strerror}.",
            "Check the path; names without .yaml are looked up in `cutpoint list regimes`.",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RegimeError(
            f"The regime file {path} is not YAML: {error}.",
            "Start from a row that `cutpoint list regimes --json` prints.",
        ) from error
    if not isinstance(content, dict):
        raise RegimeError(f"The regime file {path} does not hold keys.", "Start it with `phases:`.")
    try:
        return Regime(**{"name": path.stem, **content})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top"
        if first["type"] == "extra_forbidden":
            raise _unknown_key(path, where) from error
        raise RegimeError(
            f"The regime file {path} has a mistake at {where}: {first['msg']}.",
            "docs/reference/regimes.md lists every key with its meaning.",
        ) from error


def _unknown_key(path: Path, where: str) -> RegimeError:
    known = (
        *Regime.model_fields,
        *Phase.model_fields,
        *Objective.model_fields,
        *Adapter.model_fields,
    )
    near = get_close_matches(where.rpartition(".")[2], known, n=1)
    return RegimeError(
        f"The regime file {path} has a key that no regime has: {where}.",
        f"Did you mean {near[0]}?" if near else "docs/reference/regimes.md lists every key with its meaning.",
    )
