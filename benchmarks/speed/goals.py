"""What was set out for, and whether the records show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .ratios import (
    Record,
    Spread,
    accuracy,
    accuracy_at,
    fastest_peer,
    floors,
    is_worse,
    of_contender,
    peers,
    ratio,
)
from .works import FULL, MICRO, PARTIAL, PROBE, RACE, TEXT_FULL, TEXT_LORA, TEXT_PROBE

State = Literal["met", "not met", "not measured"]
COLD, CONVERTED = "Cutpoint, cold cache", "Cutpoint, converted graph cached"
HEAD_ALONE, THE_RACE = "Cutpoint, features and head", "Cutpoint, the race"
START = "start of `cutpoint --help`, s"


@dataclass(frozen=True)
class Finding:
    """A goal beside what was measured."""

    goal: str
    measured: str
    state: State


def findings(records: Sequence[Record]) -> list[Finding]:
    """Every goal, in the order of the works."""
    return [goal(records) for goal in GOALS]


def most(
    text: str, work: str, contender: str, against: str, bound: float, phase: str = "model"
) -> Callable[[Sequence[Record]], Finding]:
    """A goal: at most so many times as long as the quickest floor, or the fastest peer.

    Args:
        text: The goal in words.
        work: Which work.
        contender: Cutpoint's side.
        against: "floor" or "peer".
        bound: Of the ratio.
        phase: What of the runs is compared.
    """

    def judge(records: Sequence[Record]) -> Finding:
        names = floors(records, work) if against == "floor" else peers(records, work)
        own = of_contender(records, work, contender)
        found = ratio(own, of_contender(records, work, names[0]), phase) if names else None
        if found is None:
            return Finding(text, "", "not measured")
        is_met = found.median <= bound
        aside = (
            "" if is_met or against == "floor" else beside_the_floor(records, work, names[0], is_share=True)
        )
        return Finding(text, f"{told(found)} ({names[0]}){aside}", "met" if is_met else "not met")

    return judge


def least(
    text: str, work: str, contender: str, bound: float, *, must_be_better: bool
) -> Callable[[Sequence[Record]], Finding]:
    """A goal: so many times faster than every peer, and more accurate, or as accurate within noise.

    Args:
        text: The goal in words.
        work: Which work.
        contender: Cutpoint's side.
        bound: Of the ratio.
        must_be_better: Whether the accuracy has to be above each peer's; else it must not be shown to be below.
    """

    def judge(records: Sequence[Record]) -> Finding:
        own, names = of_contender(records, work, contender), peers(records, work)
        found = ratio(of_contender(records, work, names[0]), own) if own and names else None
        if found is None:
            return Finding(text, "", "not measured")
        rivals = {name: of_contender(records, work, name) for name in names}
        if must_be_better:
            losing = [name for name, runs in rivals.items() if accuracy(runs) >= accuracy(own)]
            said = "more accurate than all" if not losing else f"no more accurate than {', '.join(losing)}"
        else:
            losing = [name for name in names[:1] if is_worse(own[0], rivals[name][0])]
            said = "less accurate" if losing else "as accurate within noise"
        is_met = found.median >= bound and not losing
        aside = "" if is_met else beside_the_floor(records, work, names[0], is_share=False)
        return Finding(text, f"{told(found)} ({names[0]}), {said}{aside}", "met" if is_met else "not met")

    return judge


def race_leads(records: Sequence[Record]) -> Finding:
    """Goal (e): at no moment behind the fastest peer."""
    text = "(e) the race: at every moment at least the accuracy of the fastest peer"
    pair = _race_and_peer(records)
    if pair is None:
        return Finding(text, "", "not measured")
    race, peer = pair
    behind = [
        point for point in peer["points"] if (accuracy_at(race, point["seconds"]) or 0.0) < point["accuracy"]
    ]
    measured = (
        f"at {len(peer['points']) - len(behind)} of the {len(peer['points'])} moments at which it was judged"
    )
    return Finding(text, f"{measured} ({peer['contender']})", "not met" if behind else "met")


def race_ends_better(records: Sequence[Record]) -> Finding:
    """Goal (e): a better model at the end."""
    text = "(e) the race: a better model at the end"
    pair = _race_and_peer(records)
    if pair is None:
        return Finding(text, "", "not measured")
    race, peer = pair
    measured = f"{race['accuracy']:.3f} against {peer['accuracy']:.3f} ({peer['contender']})"
    return Finding(text, measured, "met" if race["accuracy"] > peer["accuracy"] else "not met")


def quick_start(records: Sequence[Record]) -> Finding:
    """The command line is there at once."""
    text = "(f) `cutpoint --help` < 0.5 s"
    runs = of_contender(records, MICRO, "Cutpoint")
    if not runs:
        return Finding(text, "", "not measured")
    found = Spread.of([run["measures"][START] for run in runs])
    return Finding(text, f"{found.median:.2f} s", "met" if found.median < 0.5 else "not met")


def first_model(records: Sequence[Record]) -> Finding:
    """A usable model is there soon."""
    text = "(a) a first usable model within 15 s"
    runs = of_contender(records, PROBE, COLD)
    if not runs:
        return Finding(text, "", "not measured")
    found = Spread.of([run["seconds"]["first_model"] for run in runs])
    return Finding(text, f"{found.median:.1f} s", "met" if found.median <= 15 else "not met")


def beside_the_floor(records: Sequence[Record], work: str, peer: str, *, is_share: bool) -> str:
    """What the quickest floor reaches against that peer, which nothing that does the same work can pass.

    Args:
        records: All of a tier.
        work: Which work.
        peer: The fastest.
        is_share: Whether the goal is a share of the peer's time; else how many times faster.
    """
    names, runs = floors(records, work), of_contender(records, work, peer)
    if not names:
        return ""
    floor = of_contender(records, work, names[0])
    found = ratio(floor, runs) if is_share else ratio(runs, floor)
    return f"; the floor itself {told(found)}" if found else ""


def told(found: Spread) -> str:
    """Such as "12.3× (11.9–12.8)"."""
    middle = f"{found.median:.2f}×" if found.median < 10 else f"{found.median:.1f}×"
    return middle if found.count == 1 else f"{middle} ({found.low:.2f}–{found.high:.2f})"


def _race_and_peer(records: Sequence[Record]) -> tuple[Record, Record] | None:
    races = of_contender(records, RACE, THE_RACE)
    if not races:
        return None
    rounds = [record for record in records if record["repeat"] == races[0]["repeat"]]
    peer = fastest_peer(rounds, PROBE)
    return None if peer is None else (races[0], peer)


GOALS: tuple[Callable[[Sequence[Record]], Finding], ...] = (
    most("(a) frozen features and head ≤ 1.15× the floor", PROBE, HEAD_ALONE, "floor", 1.15),
    least(
        "(a) cold: ≥ 15× faster than every peer's five epochs, and more accurate",
        PROBE,
        COLD,
        15,
        must_be_better=True,
    ),
    least(
        "(a) with a converted graph in the cache: ≥ 25× faster than every peer, and more accurate",
        PROBE,
        CONVERTED,
        25,
        must_be_better=True,
    ),
    first_model,
    least(
        "(b) ≥ 6× faster than the fastest peer, as accurate within noise",
        PARTIAL,
        COLD,
        6,
        must_be_better=False,
    ),
    most("(c) ≤ 0.6× the fastest peer", FULL, COLD, "peer", 0.6),
    most("(c) the epochs alone ≤ 1.05× the best loop by hand", FULL, COLD, "floor", 1.05, phase="training"),
    most("(c) the epochs alone ≤ 0.6× the fastest peer's", FULL, COLD, "peer", 0.6, phase="training"),
    most("(d) embed and probe ≤ 1.15× the floor", TEXT_PROBE, HEAD_ALONE, "floor", 1.15),
    most("(d) LoRA ≤ 0.9× HF Trainer and PEFT", TEXT_LORA, COLD, "peer", 0.9),
    most("(d) LoRA, the epochs alone ≤ 0.9×", TEXT_LORA, COLD, "peer", 0.9, phase="training"),
    most("(d) full ≤ 0.9× HF Trainer", TEXT_FULL, COLD, "peer", 0.9),
    most("(d) full, the epochs alone ≤ 0.9×", TEXT_FULL, COLD, "peer", 0.9, phase="training"),
    race_leads,
    race_ends_better,
    quick_start,
)
