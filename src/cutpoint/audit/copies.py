"""Findings on copies: across splits they are leaks, inside a split they count twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cutpoint.audit.alike import Alike
from cutpoint.audit.exhibits import exhibit
from cutpoint.audit.pairs import Pairs, Rows
from cutpoint.data.collected import few
from cutpoint.types import Dataset, Exhibit, Finding, Severity

_SHOWN = 6
_MANY_NEAR = 0.01
"""Share of a judged split from which near duplicates of training examples are a warning."""
_MANY_COPIES = 0.05
"""Share of all examples from which copies inside a split are a warning."""
_MEND = (
    "Write splits in which copies stand on one side (cutpoint audit DATA --fix OUT.csv), or go on knowingly "
    "(--allow-leakage)."
)


def leaks(dataset: Dataset, alike: Alike) -> list[Finding]:
    """Examples of a judged split that stand, exactly or nearly, in a split that is learned or chosen from.

    Copies and twins between training and a judged split are errors (of rows of numbers, which coincide by chance,
    warnings); between validation and test warnings; near duplicates warnings from 1 % of the judged split, below
    that worth a note.
    """
    exact: Severity = "warning" if dataset.modality == "features" else "error"
    found = []
    for learned, judged in (("train", "test"), ("train", "val"), ("val", "test")):
        if learned not in dataset.splits or judged not in dataset.splits:
            continue
        partner = _partners_by_family(alike.same, dataset.splits[learned], dataset.splits[judged])
        severity = exact if learned == "train" else "warning"
        found.append(_leak(dataset, alike, partner, severity, (learned, judged)))
        for pairs, code in ((alike.twins, "leaked-twins"), (_without(alike), "near-duplicates-across")):
            fresh = _partners_in_pairs(pairs, dataset.splits[learned], dataset.splits[judged])
            fresh = {row: other for row, other in fresh.items() if row not in partner}
            found.append(_near_leak(dataset, fresh, code, severity, (learned, judged)))
    return [finding for finding in found if finding is not None]


def inside(dataset: Dataset, alike: Alike) -> list[Finding]:
    """Copies and near duplicates that stand in one split together; they count twice, and nothing else."""
    split_of = dataset.split_names()
    copies, first = _later_copies(alike.same, split_of)
    near = alike.near.taken(split_of[alike.near.left] == split_of[alike.near.right])
    found = []
    if copies:
        share = len(copies) / len(dataset)
        found.append(
            Finding(
                code="duplicates",
                severity="warning" if share >= _MANY_COPIES else "info",
                text=f"{_of(len(copies), len(dataset))} repeat an earlier example of the same split "
                f"(the same {alike.how}).",
                evidence=_equations(dataset, dict(zip(copies, first, strict=True))),
                remedy="They weigh double. Remove them if that is not meant; hold-outs and folds keep copies "
                "together.",
                exhibits=_exhibits(dataset, dict(zip(copies, first, strict=True))),
            )
        )
    if len(near.left):
        partner = _most_alike(near)
        found.append(
            Finding(
                code="near-duplicates",
                severity="info",
                text=f"Pairs of examples in the same split that are nearly the same: {len(near.left):,}.",
                evidence=_equations(dataset, partner, "≈"),
                remedy="Look at them: burst shots or templates belong into one group (--group).",
                exhibits=_exhibits(dataset, partner),
            )
        )
    return found


def _leak(
    dataset: Dataset, alike: Alike, partner: dict[int, int], severity: Severity, sides: tuple[str, str]
) -> Finding | None:
    if not partner:
        return None
    learned, judged = sides
    other = sum(_differs(dataset, row, copy) for row, copy in partner.items())
    labels = f" Under another label: {other:,}." if other else ""
    return Finding(
        code="leaked-duplicates",
        severity=severity,
        text=f"{_of(len(partner), len(dataset.splits[judged]), judged)} stand in the {learned} split as well "
        f"(the same {alike.how}): its score can flatter by as much.{labels}",
        evidence=_equations(dataset, partner),
        remedy=_MEND,
        exhibits=_exhibits(dataset, partner),
    )


def _near_leak(
    dataset: Dataset, partner: dict[int, int], code: str, severity: Severity, sides: tuple[str, str]
) -> Finding | None:
    if not partner:
        return None
    learned, judged = sides
    total = len(dataset.splits[judged])
    are = "twins of one of the {} split: no more differs than when a file is saved again, or a word in a long text"
    if code != "leaked-twins":
        severity = "warning" if len(partner) >= _MANY_NEAR * total else "info"
        are = "nearly the same as one of the {} split"
    return Finding(
        code=code,
        severity=severity,
        text=f"Of the {total:,} {judged} examples {len(partner):,} {'is' if len(partner) == 1 else 'are'} "
        f"{are.format(learned)}.",
        evidence=_equations(dataset, partner, "≈"),
        remedy=_MEND if code == "leaked-twins" else "Look at them; what belongs together needs a --group.",
        exhibits=_exhibits(dataset, partner),
    )


def _without(alike: Alike) -> Pairs:
    """Near pairs that are not twins."""
    size = len(alike.same)
    twins = alike.twins.left * size + alike.twins.right
    return alike.near.taken(~np.isin(alike.near.left * size + alike.near.right, twins))


def _partners_by_family(same: Rows, learned: Rows, judged: Rows) -> dict[int, int]:
    """Judged row → the first learned row of its family."""
    first = {int(same[row]): int(row) for row in learned[::-1]}
    return {int(row): first[int(same[row])] for row in judged if int(same[row]) in first}


def _partners_in_pairs(pairs: Pairs, learned: Rows, judged: Rows) -> dict[int, int]:
    """Judged row → the learned row that is most like it."""
    left = np.concatenate([pairs.left, pairs.right])
    right = np.concatenate([pairs.right, pairs.left])
    crossing = np.isin(left, judged) & np.isin(right, learned)
    return _most_alike(
        Pairs(left[crossing], right[crossing], np.tile(pairs.likeness, 2)[crossing]), by_left=True
    )


def _most_alike(pairs: Pairs, by_left: bool = False) -> dict[int, int]:
    """Row → its partner, the most alike first."""
    order = np.argsort(-pairs.likeness, kind="stable")
    rows, others = (pairs.left, pairs.right) if by_left else (pairs.right, pairs.left)
    partner: dict[int, int] = {}
    for place in order:
        partner.setdefault(int(rows[place]), int(others[place]))
    return partner


def _later_copies(same: Rows, split_of: NDArray[np.str_]) -> tuple[list[int], list[int]]:
    """Rows whose family stands in their split before them, and where."""
    first: dict[tuple[int, str], int] = {}
    copies, originals = [], []
    for row, (family, split) in enumerate(zip(same.tolist(), split_of.tolist(), strict=True)):
        original = first.setdefault((family, split), row)
        if original != row:
            copies.append(row)
            originals.append(original)
    return copies, originals


def _differs(dataset: Dataset, row: int, other: int) -> bool:
    return bool(np.any(dataset.targets[row] != dataset.targets[other]))


def _of(count: int, total: int, split: str = "") -> str:
    share = 100 * count / total
    amount = f"{share:.1f}" if share >= 0.1 else "less than 0.1"
    noun = f"{split} examples" if split else "examples"
    return f"{count:,} of {total:,} {noun} ({amount} %)"


def _equations(dataset: Dataset, partner: dict[int, int], sign: str = "=") -> str:
    return few([f"{dataset.names[row]} {sign} {dataset.names[other]}" for row, other in partner.items()], 4)


def _exhibits(dataset: Dataset, partner: dict[int, int]) -> tuple[Exhibit, ...]:
    pairs = list(partner.items())[:_SHOWN]
    return tuple(exhibit(dataset, row, f"the same as {dataset.names[other]}") for row, other in pairs)
