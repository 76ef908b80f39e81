"""The field's default mistake: straight to full fine-tuning on little data."""

from __future__ import annotations

from collections.abc import Collection

from cutpoint.advice.bands import SMALL_BELOW, STRONG_FROM
from cutpoint.types import Finding


def forced_full_on_little_data(
    named: Collection[str], full: Collection[str], *, rows: int, per_class: float | None
) -> Finding | None:
    """A warning where every regime that the user named trains the whole pretrained network, and examples are few.

    Args:
        named: Regimes that the user named; empty where Cutpoint chose.
        full: Those of them that train every block of a pretrained network, without an adapter.
        rows: Training examples.
        per_class: Median of training examples a class; None without classes, where `rows` below 5 000 count as few.
    """
    is_little = rows < SMALL_BELOW if per_class is None else per_class < STRONG_FROM
    if not named or not is_little or any(name not in full for name in named):
        return None
    few = f"{rows:,} examples" if per_class is None else f"{per_class:,.0f} examples a class"
    return Finding(
        code="forced-full-on-little-data",
        severity="warning",
        text=f"Straight to full fine-tuning on {few}: the field's default mistake. It may look brilliant and "
        "generalise badly, and nothing cheaper was tried that could show it.",
        evidence=f"Named: {', '.join(named)}. The field wants thousands a class for full fine-tuning, and calls "
        f"results strong from {STRONG_FROM} a class on.",
        remedy="Leave --regime out, or name linear-probe and partial beside it.",
    )
