"""The verdict says what ships, what dearer would have added, and what would flip the choice."""

from __future__ import annotations

from typing import Any

from cutpoint.race.verdict import write_verdict
from cutpoint.types import Comparison, Cost, Score, Task, Trial

TASK = Task(kind="binary", labels=("no", "yes"))


def trial(name: str, value: float, seconds: float, **more: Any) -> Trial:
    score = Score(metric="accuracy", value=value, low=value - 0.03, high=value + 0.03, n=200)
    cost = Cost(seconds=seconds, trainable_parameters=100, total_parameters=10_000, stored_bytes=400)
    return Trial(id=name, regime=name, backbone="b", status="finished", validation=score, cost=cost, **more)


def comparison(
    leader: str, challenger: str, gain: float, decision: str, p: float, sentence: str = ""
) -> Comparison:
    return Comparison(
        leader=leader,
        challenger=challenger,
        gain=gain,
        low=gain - 0.02,
        high=gain + 0.02,
        p_positive=p,
        p_worthwhile=p,
        decision=decision,  # type: ignore[arg-type]
        sentence=sentence,
    )


def test_probe_that_stays_names_what_full_would_have_added() -> None:
    probe, full = trial("linear-probe", 0.9, 2.0), trial("full", 0.902, 60.0, cut=0)
    found = write_verdict(
        TASK, probe, [probe, full], [comparison("linear-probe", "full", 0.002, "kept out", 0.55)], None, []
    )
    assert (
        "Ship linear-probe" in found.ship
        and "90.0 %" in found.ship
        and "(1 %)" in found.ship.replace("1.0", "1")
    )
    assert "full" in found.dearer and "+0.2" in found.dearer and "30.0 times" in found.dearer
    assert "More labelled examples" in found.flip


def test_winner_that_took_the_lead_says_over_whom_and_how_sure() -> None:
    probe, full = trial("linear-probe", 0.9, 2.0), trial("full", 0.95, 60.0, cut=0)
    proven = comparison("linear-probe", "full", 0.05, "replaces", 0.99)
    found = write_verdict(TASK, full, [probe, full], [proven], full.validation, [])
    assert "over linear-probe" in found.dearer and "on 200 test examples" in found.ship
    assert "fewer labels" in found.flip
    likely = comparison("linear-probe", "full", 0.02, "replaces", 0.85, "likely, not proven")
    doubtful = write_verdict(TASK, full, [probe, full], [likely], None, [])
    assert "likely, not proven" in doubtful.flip


def test_what_was_left_out_is_named() -> None:
    probe = trial("linear-probe", 0.9, 2.0)
    skipped = Trial(id="full", regime="full", backbone="b", status="skipped", reason="no budget")
    found = write_verdict(TASK, probe, [probe, skipped], [], None, [])
    assert "full" in found.dearer and "budget" in found.flip
