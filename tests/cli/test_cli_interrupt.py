"""Ctrl-C: exit code 130, and a run folder that goes on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

# A shell that runs the tests in the background has its children ignore the signal.
_START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from cutpoint.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


def test_interrupt_leaves_a_valid_run_and_the_same_command_goes_on(
    cutpoint, bars: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(bars, data)
    for number in range(6):  # half of one class stands in the other too: no probe can be perfect
        shutil.copy(bars / "level" / f"{number}.png", data / "upright" / f"wrong{number}.png")
    regime = tmp_path / "long.yaml"
    regime.write_text("phases: [{train: all, epochs: 400, rate: 0.0001}]")
    run = tmp_path / "run"
    chosen = ("--backbone", "builtin:glyphs", "--regime", "linear-probe", "--regime", regime, "--threads", 1)
    command = ("fit", data, *chosen, "--budget", "20m", "--out", run, "--cache", tmp_path / "cache", "--json")
    process = subprocess.Popen(
        [sys.executable, "-c", _START, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("linear-probe"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert "Traceback" not in err and "same command" in err
    result = json.loads(out)
    assert result["status"] == "interrupted"
    assert {trial["id"]: trial["status"] for trial in result["trials"]} == {"linear-probe": "finished"}
    assert (run / "report.html").exists()
    assert cutpoint("predict", run, bars / "level").code == 0
