"""What a race says line by line on stderr."""

from __future__ import annotations

from cutpoint.cli.watch import trial_line
from cutpoint.types import Cost, Score, Trial


def test_a_trial_given_up_between_folds_never_leads() -> None:
    half = Trial(
        id="partial@2",
        regime="partial",
        backbone="net",
        status="eliminated",
        validation=Score(metric="accuracy", value=0.739, low=0.535, high=0.875, n=23),
        cost=Cost(seconds=24.0),
        reason="after two folds it is expected to gain too little",
    )
    line = trial_line(half, None).plain
    assert line.startswith("partial@2") and "73.9 %" in line
    assert line.endswith("eliminated: after two folds it is expected to gain too little")
    assert trial_line(half.model_copy(update={"status": "finished"}), None).plain.endswith("leads")
