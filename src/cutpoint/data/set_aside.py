"""Inputs that cannot be used are set aside; where they are too many, that is an error."""

from __future__ import annotations

from collections.abc import Sequence

from cutpoint.data.collected import few
from cutpoint.errors import DataError
from cutpoint.types import Quarantined


def check_share(
    quarantined: Sequence[Quarantined], total: int, max_unreadable: float, noun: str, hint: str
) -> None:
    """Raise a DataError where too many inputs (images, texts) were set aside, or all of them; `hint` if all."""
    if not quarantined or (len(quarantined) <= max_unreadable * total and len(quarantined) < total):
        return
    shown = few([f"{item.name} ({item.reason})" for item in quarantined])
    if len(quarantined) == total:
        raise DataError(f"no {noun} can be read: {shown}.", hint)
    raise DataError(
        f"{len(quarantined):,} of {total:,} {noun}s cannot be read, more than {100 * max_unreadable:.0f} %: {shown}.",
        "Repair or remove them, or go on without them by a larger --max-unreadable (a share, such as 0.2).",
    )
