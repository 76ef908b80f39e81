"""Time and peak memory of the probe and of the audit, from a thousand examples to a hundred thousand.

    python -m benchmarks.scale [--tier quick|full] [--work DIR] [--docs DIR]

Pictures of 32 × 32 pixels and short texts are made up; each command runs in a process of its own, with a cache of its
own that is empty. The network itself computes the features at every size: which engine `auto` takes follows from the
size, and OpenVINO alone takes some hundred megabytes. Peak memory is counted twice: all pages that a process holds, and
its own alone, without those of files (libraries and memory-mapped arrays, which the system takes back when it likes).
The full tier also runs a MobileNetV2, where its weights are at hand (CUTPOINT_SHARED), on pictures that as prepared are
larger than all memory that its control group may have, file cache included, as in a container. That needs the right to
make one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .made_up_data import write_encoder, write_images, write_texts
from .page import put

SIZES = {"quick": (1_000, 3_000, 10_000), "full": (1_000, 3_000, 10_000, 30_000, 100_000)}
ROOT = Path(__file__).parents[1]
WEIGHTS = Path(os.environ.get("CUTPOINT_SHARED", ROOT.parent / "shared")) / "weights" / "mobilenetv2_035_tm"
LIMITED_ROWS, LIMITED_SIDE, LIMIT_BYTES = 30_000, 160, 1_200_000_000
"""Of the pictures 24 000 are prepared, 160 × 160 × 3 bytes each: 1.84 GB."""
_CONTROL_GROUPS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))
"""Where Linux keeps control groups of memory (versions 1 and 2), and the file of the limit."""
_KINDS = ("images", "texts")
_WORKS = ("train", "audit")
_SAMPLE_SECONDS = 0.02
_MEGA = 1e6


@dataclass(frozen=True)
class Measured:
    """One command on one data set.

    Attributes:
        kind: "images" or "texts".
        work: "train" (the frozen features and a probe) or "audit" (of content).
        rows: Examples.
        seconds: By the clock.
        cpu_seconds: Of all threads.
        peak_bytes: Most pages held at once, those of files included.
        own_bytes: The same without those of files, sampled.
        score: On the test split; None where nothing was trained.
        limit_bytes: Of all memory, file cache included, where there was one.
    """

    kind: str
    work: str
    rows: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    own_bytes: int
    score: float | None = None
    limit_bytes: int | None = None


def main() -> None:
    """Make the data, run everything, write JSON, table and picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tier", choices=SIZES, default="quick")
    parser.add_argument(
        "--work", type=Path, help="where data and runs are kept (default: a temporary folder)"
    )
    parser.add_argument("--docs", type=Path, help="the documentation that table and picture are put into")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = asked.work or Path(temporary)
        found = list(measure(SIZES[asked.tier], work))
        publish(found, asked.tier, asked.docs)
        if asked.tier == "full" and WEIGHTS.exists():
            with limited(LIMIT_BYTES) as group:
                found.append(larger_than_memory(work, group))
            publish(found, asked.tier, asked.docs)


def publish(found: Sequence[Measured], tier: str, docs: Path | None) -> None:
    """JSON beside this file, the table on the terminal, and both into the documentation where that is given."""
    record = {"machine": _machine(), "tier": tier, "measured": [asdict(each) for each in found]}
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(tables(found))
    if docs:
        write_page(found, docs)


def measure(sizes: Sequence[int], work: Path) -> Iterator[Measured]:
    """Every kind, work and size, each line told as it comes."""
    work.mkdir(parents=True, exist_ok=True)
    encoder = write_encoder(work / "encoder")
    for kind in _KINDS:
        for rows in sizes:
            data = _data(work, kind, rows)
            for name in _WORKS:
                backbone = ["--backbone", "builtin:glyphs" if kind == "images" else str(encoder)]
                backbone += ["--engine", "eager"]
                yield _told(run(name, kind, rows, data, backbone, work / "run"))


@contextmanager
def limited(limit: int) -> Iterator[Path]:
    """A control group that may have so many bytes (SystemExit where none can be made)."""
    groups = ((Path(root) / f"cutpoint-scale-{os.getpid()}", file) for root, file in _CONTROL_GROUPS)
    group = next((each for each, file in groups if _is_limited(each, file, limit)), None)
    if group is None:
        raise SystemExit("No control group could be made: the run under a memory limit is left out.")
    try:
        yield group
    finally:
        group.rmdir()


def _is_limited(group: Path, file: str, limit: int) -> bool:
    """Make a control group with that limit; False, and nothing is left, where that cannot be."""
    with suppress(OSError):
        group.mkdir()
        with suppress(OSError):  # the folder was made, but not by a kernel that takes a limit
            if (group / file).exists():
                (group / file).write_text(str(limit))
                return True
        group.rmdir()
    return False


def larger_than_memory(work: Path, group: Path) -> Measured:
    """The probe of pictures that, prepared, are larger than what a control group may have."""
    data = _data(work, "images", LIMITED_ROWS)
    backbone = ["--backbone", str(WEIGHTS), "--image-size", str(LIMITED_SIDE)]
    return _told(run("train", "images", LIMITED_ROWS, data, backbone, work / "run", group))


def run(
    work: str, kind: str, rows: int, data: Path, backbone: list[str], folder: Path, group: Path | None = None
) -> Measured:
    """One command in a process of its own.

    Args:
        work: "train" or "audit".
        kind: Of the data.
        rows: Examples.
        data: Where they are.
        backbone: Options that name it.
        folder: Of the run and its cache; emptied before.
        group: Control group in which it runs, limited to `LIMIT_BYTES`; None: no limit.
    """
    shutil.rmtree(folder, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "cutpoint"), work, str(data), "--json"]
    if work == "train":
        command += [*backbone, "--regime", "linear-probe", "--budget", "10h"]
        command += ["--out", str(folder / "run"), "--cache", str(folder / "cache")]

    def restrict() -> None:
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=restrict, text=True
    )
    watch = _OwnMemory(process.pid)
    watch.start()
    answer = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    watch.ended.set()
    if status and work == "train":  # the audit's status tells whether it found something
        raise SystemExit(f"{' '.join(command)} ended with status {status}.")
    return Measured(
        kind,
        work,
        rows,
        time.perf_counter() - started,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        watch.most,
        _score(answer) if work == "train" else None,
        None if group is None else LIMIT_BYTES,
    )


class _OwnMemory(threading.Thread):
    """Samples how much of its own a process holds (RssAnon; 0 where the system does not tell)."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.status = Path(f"/proc/{process}/status")
        self.ended = threading.Event()
        self.most = 0

    def run(self) -> None:
        while not self.ended.wait(_SAMPLE_SECONDS):
            try:
                text = self.status.read_text(encoding="utf-8")
            except OSError:
                return
            for line in text.splitlines():
                if line.startswith("RssAnon:"):
                    self.most = max(self.most, 1024 * int(line.split()[1]))


def further_thousand(found: Sequence[Measured]) -> list[float]:
    """CPU seconds of a thousand rows more, from each size to the next: alike where cost grows linearly."""
    pairs = itertools.pairwise(found)
    return [1000 * (more.cpu_seconds - less.cpu_seconds) / (more.rows - less.rows) for less, more in pairs]


def tables(found: Sequence[Measured]) -> str:
    """Markdown: a line a command and size, and what the sizes say together."""
    lines = [
        "| data | work | rows | seconds | CPU s | peak MB | own MB | accuracy |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for each in found:
        score = "" if each.score is None else f"{each.score:.3f}"
        lines.append(
            f"| {each.kind} | {_named(each)} | {each.rows:,} | {each.seconds:.1f} | {each.cpu_seconds:.1f} | "
            f"{each.peak_bytes / _MEGA:.0f} | {each.own_bytes / _MEGA:.0f} | {score} |"
        )
    lines.append("")
    for group in _groups(found):
        seconds = ", ".join(f"{each:.2f}" for each in further_thousand(group))
        lines.append(
            f"- {group[0].kind}, {group[0].work}: CPU seconds of 1,000 rows more, from each size to the next: "
            f"{seconds}{_growth(group)}."
        )
    return "\n".join(lines)


def _growth(group: Sequence[Measured]) -> str:
    """Of peak memory beyond ten thousand rows, where larger sets were run."""
    small, large = next(each for each in group if each.rows == 10_000), group[-1]
    if large.rows == small.rows:
        return ""
    growth = large.peak_bytes / small.peak_bytes - 1
    a_row = (large.own_bytes - small.own_bytes) / (large.rows - small.rows)
    rows = f"from {small.rows:,} to {large.rows:,}"
    return f"; peak memory {100 * growth:+.0f} % {rows} ({a_row:,.0f} bytes of its own a row)"


def write_page(found: Sequence[Measured], docs: Path) -> None:
    """Put the table into docs/concepts/scale.md and draw its picture."""
    put(docs / "concepts" / "scale.md", "scale table", tables(found))
    draw(found, docs / "images" / "scale.png")


def draw(found: Sequence[Measured], path: Path) -> None:
    """CPU seconds and peak memory over rows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (time_axes, memory_axes) = plt.subplots(1, 2, figsize=(9, 3.6))
    for group in _groups(found):
        rows, name = [each.rows for each in group], f"{group[0].kind}, {group[0].work}"
        time_axes.loglog(rows, [each.cpu_seconds for each in group], marker="o", label=name)
        memory_axes.semilogx(rows, [each.peak_bytes / _MEGA for each in group], marker="o", label=name)
    time_axes.set(xlabel="examples", ylabel="CPU seconds")
    memory_axes.set(xlabel="examples", ylabel="peak memory, MB", ylim=(0, None))
    for axes in (time_axes, memory_axes):
        axes.grid(alpha=0.3)
    time_axes.legend(fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _groups(found: Sequence[Measured]) -> list[list[Measured]]:
    """Runs without a limit by kind and work, sizes rising."""
    free = [each for each in found if each.limit_bytes is None]
    keys = dict.fromkeys((each.kind, each.work) for each in free)
    return [[each for each in free if (each.kind, each.work) == key] for key in keys]


def _data(work: Path, kind: str, rows: int) -> Path:
    """The data set of that size; one that is there is taken."""
    place = work / f"{kind}-{rows}"
    if kind == "texts":
        place = place.with_suffix(".csv")
    if not place.exists():
        draft = place.with_name(f"unfinished-{place.name}")
        shutil.rmtree(draft, ignore_errors=True)
        (write_images if kind == "images" else write_texts)(draft, rows)
        draft.replace(place)
    return place


def _score(answer: str) -> float | None:
    test = json.loads(answer)["test"]
    return None if test is None else float(test["value"])


def _named(each: Measured) -> str:
    return (
        each.work
        if each.limit_bytes is None
        else f"{each.work}, limited to {each.limit_bytes / _MEGA:.0f} MB"
    )


def _told(measured: Measured) -> Measured:
    print(
        f"{measured.kind} {_named(measured)} {measured.rows:,}: {measured.seconds:.1f} s, "
        f"CPU {measured.cpu_seconds:.1f} s, peak {measured.peak_bytes / _MEGA:.0f} MB, "
        f"own {measured.own_bytes / _MEGA:.0f} MB, {measured.score}",
        file=sys.stderr,
        flush=True,
    )
    return measured


def _machine() -> dict[str, object]:
    return {"cores": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()[0]}


if __name__ == "__main__":
    main()
