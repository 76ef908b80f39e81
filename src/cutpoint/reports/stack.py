"""The network of the winning trial as a stack of boxes: what stays frozen, what is trained."""

from __future__ import annotations

from dataclasses import dataclass

from cutpoint.reports import format
from cutpoint.reports.facts import adapter_of, winner_of
from cutpoint.types import Modality, Result

_MOST_NAMED = 30
_FIRST: dict[Modality, str] = {
    "image": "photo",
    "text": "text",
    "features": "row of numbers",
    "signal": "signal",
}
"""What enters the network."""


@dataclass(frozen=True)
class Box:
    """One block in the picture; `top` and `height` in the picture's units."""

    name: str
    frozen: bool
    top: float
    height: float


@dataclass(frozen=True)
class Bracket:
    """A run of boxes of one kind with what is said about them."""

    title: str
    detail: str
    frozen: bool
    top: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Stack:
    """What the template draws: boxes from the top (last block) down, and a bracket for each run."""

    boxes: tuple[Box, ...]
    brackets: tuple[Bracket, ...]
    head: str
    first: str
    height: float
    named: bool


def stack_of(result: Result) -> Stack | None:
    """The winner's stack; None without a winner or where the blocks of its backbone are unknown."""
    winner = winner_of(result)
    rows = result.layer_probe.get(winner.backbone, ()) if winner else ()
    if winner is None or winner.cut is None or not rows:
        return None
    pitch = max(9.0, min(21.0, 460 / len(rows)))
    start = 62.0
    boxes = tuple(
        Box(row.block, row.index <= winner.cut, start + place * pitch, pitch - 3)
        for place, row in enumerate(sorted(rows, key=lambda row: -row.index))
    )
    return Stack(
        boxes=boxes,
        brackets=tuple(
            bracket
            for frozen in (False, True)
            if (bracket := _bracket(boxes, frozen, adapted=adapter_of(winner) is not None))
        ),
        head=_head(result),
        first=_FIRST[result.data.modality],
        height=start + len(rows) * pitch + 44,
        named=pitch >= 13 and len(rows) <= _MOST_NAMED,
    )


def _bracket(boxes: tuple[Box, ...], frozen: bool, *, adapted: bool) -> Bracket | None:
    run = [box for box in boxes if box.frozen == frozen]
    if not run:
        return None
    what = format.plural(len(run), "block")
    if adapted and not frozen:
        title, detail = f"{what} with adapter", "only the adapter is trained"
    else:
        title = f"{what} frozen" if frozen else f"{what} trained"
        detail = "used as pretrained" if frozen else "adapted to your data"
    return Bracket(title, detail, frozen, run[0].top, run[-1].top + run[-1].height)


def _head(result: Result) -> str:
    if result.task.kind == "regression":
        return "new head: one value"
    if result.task.kind == "tagging":
        return f"new head: {format.plural(len(result.task.labels), 'tag')}"
    return f"new head: {format.plural(len(result.task.labels), 'class', 'classes')}"
