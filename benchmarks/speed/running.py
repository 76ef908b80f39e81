"""Runs contenders in turn, each in a process of its own, and keeps one JSON a run: what has one is not run again."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.job import Job

from .machine import OtherWork, machine, moment
from .ratios import fastest_peer
from .rows import ROOT, write_list
from .works import PROBE, RACE, TIERS, WORKS, Contender, Size, Work, weights_of

PEERS_PYTHON = ROOT / ".peers-venv" / "bin" / "python"
_MOST_SECONDS = 4 * 3600.0
_TAIL = 1500
"""Characters of a failed contender's last words that are kept."""


@dataclass(frozen=True)
class Bench:
    """One tier with its folder.

    Attributes:
        tier: Name.
        folder: Lists, JSON of runs, scratch.
        threads: Of every contender.
        repeats: In place of the tier's own; None: those.
    """

    tier: str
    folder: Path
    threads: int
    repeats: int | None = None

    def prepare(self) -> None:
        """Find out once whether the allocator is tuned on this machine, so that no contender pays for it."""
        command = "from cutpoint.runtime import tune_allocator; tune_allocator()"
        subprocess.run([sys.executable, "-c", command], cwd=ROOT, env=self._environment(), check=True)

    def run(self, works: Sequence[str]) -> None:
        """All contenders of these works that have no record yet, in turn.

        Args:
            works: Names; empty: all.
        """
        for work in WORKS:
            if works and work.name not in works:
                continue
            size = TIERS[self.tier][work.name]
            for repeat in range(self.repeats or size.repeats):
                for contender in in_turn(present(work.contenders, size.without), repeat):
                    self._run(work, size, contender, repeat)

    def records(self) -> list[dict[str, Any]]:
        """What was measured so far."""
        files = sorted((self.folder / "runs").glob("*.json"))
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]

    def _run(self, work: Work, size: Size, contender: Contender, repeat: int) -> None:
        file = self.folder / "runs" / f"{work.name}-{slug(contender.name)}-{repeat}.json"
        if file.exists() and "failed" not in json.loads(file.read_text(encoding="utf-8")):
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        before, others, began = moment(), OtherWork(), time.perf_counter()
        answer = self._in_own_process(self._job(work, size, contender, repeat), contender)
        record = {
            "tier": self.tier,
            "work": work.name,
            "contender": contender.name,
            "side": contender.side,
            "repeat": repeat,
            "machine": machine(),
            "before": before,
            "after": moment(),
            "cores_busy_with_other_work": round(others.cores(), 2),
            "process_seconds": time.perf_counter() - began,
            **answer,
        }
        file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(told(record), flush=True)

    def _job(self, work: Work, size: Size, contender: Contender, repeat: int) -> Job:
        rows = self.folder / "lists" / f"{work.rows_of or work.name}.csv"
        write_list(rows, work.data, work.modality, TIERS[self.tier][work.rows_of or work.name].selection)
        scratch = self.folder / "scratch" / f"{work.name}-{slug(contender.name)}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        cache = self.folder / "cache" / f"{work.name}-{slug(contender.module)}"
        options = {**size.options, **contender.options, "cache_folder": str(cache)}
        if work.name == RACE:
            options["budget"] = self._budget(repeat)
        return Job(
            work=work.name,
            contender=contender.name,
            modality=work.modality,
            regime=work.regime,
            rows=str(rows),
            weights=weights_of(work),
            epochs=work.epochs,
            judged_epochs=size.judged_epochs,
            image_size=size.image_size,
            scratch=str(scratch),
            rate=work.rate,
            seed=repeat,
            threads=self.threads,
            options=options,
        )

    def _budget(self, repeat: int) -> float:
        """Seconds of the fastest peer's run with a frozen head, as measured in the same round."""
        rounds = [record for record in self.records() if record["repeat"] == repeat]
        peer = fastest_peer(rounds, PROBE)
        if peer is None:
            raise SystemExit(f"The race takes its budget from a peer's run: measure {PROBE} first.")
        return float(peer["seconds"]["model"])

    def _in_own_process(self, job: Job, contender: Contender) -> dict[str, Any]:
        asked, answered = Path(job.scratch) / "job.json", Path(job.scratch) / "answer.json"
        job.write(asked)
        python = str(PEERS_PYTHON) if contender.side == "peer" else sys.executable
        try:
            done = subprocess.run(
                [python, "-m", contender.module, str(asked), str(answered)],
                cwd=ROOT,
                env=self._environment(),
                capture_output=True,
                text=True,
                timeout=_MOST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"stopped after {_MOST_SECONDS:.0f} s"}
        if not answered.exists():
            return {"failed": (done.stderr or f"exit code {done.returncode}")[-_TAIL:]}
        found: dict[str, Any] = json.loads(answered.read_text(encoding="utf-8"))
        return found

    def _environment(self) -> dict[str, str]:
        """The same threads for all, nothing that reaches for the network, no cache but the bench's own."""
        libraries = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        quiet = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
        own = {"CUTPOINT_CACHE": str(self.folder.resolve() / "machine")}
        return {**os.environ, **dict.fromkeys(libraries, str(self.threads)), **quiet, **own}


def present(contenders: Sequence[Contender], without: Sequence[str]) -> list[Contender]:
    """Those that are not left out, and whose libraries are installed."""
    return [
        each
        for each in contenders
        if each.name not in without and (each.needs is None or importlib.util.find_spec(each.needs))
    ]


def in_turn(contenders: Sequence[Contender], repeat: int) -> Iterator[Contender]:
    """Cutpoint's cache states in their order, then the others; every round another one of them begins."""
    own = [each for each in contenders if each.side == "Cutpoint"]
    others = [each for each in contenders if each.side != "Cutpoint"]
    start = repeat % max(len(others), 1)
    yield from (*own, *others[start:], *others[:start])


def slug(name: str) -> str:
    """As part of a file's name."""
    return re.sub(r"\W+", "-", name).strip("-").lower()


def told(record: dict[str, Any]) -> str:
    """A line for the terminal."""
    start = f"{record['work']:12s} {record['contender']:34s} round {record['repeat'] + 1}"
    if "failed" in record:
        return f"{start}  failed: {record['failed'].splitlines()[-1]}"
    if record["accuracy"] is None:
        return f"{start}  {', '.join(f'{name} {value:.3g}' for name, value in record['measures'].items())}"
    return f"{start}  {record['seconds']['model']:8.1f} s  accuracy {record['accuracy']:.3f}"
