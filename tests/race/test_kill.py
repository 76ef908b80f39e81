"""A run that is killed outright, again and again, ends as the run that was left alone."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

_SCRIPT = """
import sys
import cutpoint as cp
from cutpoint.regimes import Phase, Regime

head = Phase(train="head", solver="exact")
blocks = Phase(train="cut", rate=1e-3, epochs=3, decay=0.9)
everything = Phase(train="all", rate=1e-3, epochs=2, augmentation="flip")
regimes = [
    "linear-probe",
    Regime(name="partial", phases=(head, blocks)),
    Regime(name="full", dropout=0.1, phases=(head, everything)),
]
data, out, cache = sys.argv[1:]
cp.fit(data, out=out, cache=cache, backbones="builtin:glyphs", regimes=regimes, cut=4, budget="30m", threads=1)
"""


def _start(script: Path, data: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(script), str(data), str(out), str(out.parent / "cache")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _finish(script: Path, data: Path, out: Path) -> float:
    started = time.monotonic()
    process = _start(script, data, out)
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors.decode()
    return time.monotonic() - started


def _essence(out: Path) -> dict[str, object]:
    result = json.loads((out / "result.json").read_text())
    trials = [
        {
            "id": trial["id"],
            "status": trial["status"],
            "validation": trial["validation"],
            "losses": [[epoch["validation_loss"] for epoch in curve] for curve in trial["curves"]],
        }
        for trial in result["trials"]
    ]
    weights = (out / "model" / "model.safetensors").read_bytes()
    return {"trials": trials, "winner": result["winner"], "test": result["test"], "weights": weights}


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_run_equals_straight_run(stripes: Path, tmp_path: Path, kills: int) -> None:
    script = tmp_path / "race.py"
    script.write_text(_SCRIPT)
    straight = tmp_path / "straight" / "run"
    whole = _finish(script, stripes, straight)
    killed = tmp_path / "killed" / "run"
    moments = random.Random(kills)
    for _ in range(kills):
        process = _start(script, stripes, killed)
        time.sleep(moments.uniform(0.2, 0.9) * whole)
        process.kill()
        process.communicate()
    _finish(script, stripes, killed)
    assert _essence(killed) == _essence(straight)
