"""Where the time of a race goes: `cutpoint.fit` with a stopwatch on its parts.

    python -m benchmarks.race_profile DATA --backbone B [--regimes R …] [--page NAME]

Each part's time is its own: what it calls and stands in the table too is taken off. What stands nowhere is the race's
overhead, as are weighing and writing.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cutpoint as cp

from .page import put
from .speed.libraries import import_libraries

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"

PARTS = {
    "other": (),
    "reading the data": ("cutpoint.api.load_dataset", "cutpoint.features.bank.FeatureBank.store_prepared"),
    "audit": ("cutpoint.api.audit_first", "cutpoint.race.race.audit_features"),
    "first model": ("cutpoint.race.race.save_first_model",),
    "calibration": ("cutpoint.planning.make_plan.calibrate",),
    "every-layer probe": ("cutpoint.planning.make_plan._curve",),
    "advice": ("cutpoint.race.race.advise_on_plan",),
    "frozen features": (
        "cutpoint.features.bank.FeatureBank.pooled",
        "cutpoint.features.bank.FeatureBank.activations",
    ),
    "short runs": ("cutpoint.race.short_runs.ShortRuns._run",),
    "fits": ("cutpoint.race.trial.TrialRun._one_fit", "cutpoint.race.trial.TrialRun.save_final_model"),
    "weighing": ("cutpoint.race.standing.Standing.compare", "cutpoint.race.halving.Halving._outlook"),
    "test and findings": ("cutpoint.race.race.judge_once",),
    "writing": (
        "cutpoint.race.race.Race._write",
        "cutpoint.race.race.write_report",
        "cutpoint.race.race.save_model",
    ),
}
"""Part → functions, as they are looked up where they are called."""
OVERHEAD = ("other", "weighing", "writing")


class Stopwatch:
    """Adds up what parts take, each without the parts inside it."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open = ["other"]
        self._since = time.perf_counter()

    def _turn(self) -> None:
        """Charge the time since the last turn to the innermost part."""
        now = time.perf_counter()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def watch(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time charged to the part."""

        @wraps(function)
        def watched(*args: Any, **options: Any) -> Any:
            self._turn()
            self._open.append(part)
            try:
                return function(*args, **options)
            finally:
                self._turn()
                self._open.pop()

        return watched

    def attach(self) -> None:
        """Watch every function of `PARTS`."""
        for part, names in PARTS.items():
            for name in names:
                owner, attribute = owner_of(name)
                setattr(owner, attribute, self.watch(part, getattr(owner, attribute)))

    def stop(self) -> dict[str, float]:
        """Part → seconds, the longest first."""
        self._turn()
        return dict(sorted(self.seconds.items(), key=lambda entry: -entry[1]))


def owner_of(name: str) -> tuple[Any, str]:
    """The module or class that holds what a dotted name says, and its attribute there."""
    *path, attribute = name.split(".")
    for end in range(len(path), 0, -1):
        try:
            owner = importlib.import_module(".".join(path[:end]))
        except ModuleNotFoundError:
            continue
        for step in path[end:]:
            owner = getattr(owner, step)
        return owner, attribute
    raise ModuleNotFoundError(name)


def profile(data: Any, **options: Any) -> dict[str, float]:
    """Part → seconds of one race in a folder that is thrown away."""
    with TemporaryDirectory() as folder:
        watch = Stopwatch()
        watch.attach()
        cp.fit(data, out=Path(folder) / "run", cache=Path(folder) / "cache", **options)
        return watch.stop()


def table(seconds: dict[str, float]) -> str:
    """As Markdown, shares beside seconds, the overhead below."""
    total = sum(seconds.values())
    lines = ["| part | seconds | share |", "|---|---|---|"]
    lines += [f"| {part} | {spent:.1f} | {spent / total:.1%} |" for part, spent in seconds.items()]
    overhead = sum(seconds.get(part, 0.0) for part in OVERHEAD)
    lines += [
        f"| all | {total:.1f} | |",
        f"| overhead: {', '.join(OVERHEAD)} | {overhead:.1f} | {overhead / total:.1%} |",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run one race and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--backbone", default="auto")
    parser.add_argument("--regimes", nargs="+", default="auto", help="default: the whole race")
    parser.add_argument("--budget", default="20m")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--per-class", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument(
        "--page", metavar="NAME", help="put the table into docs/benchmarks.md, as the profile of NAME"
    )
    asked = parser.parse_args()
    import_libraries()
    found = table(
        profile(
            asked.data,
            backbones=asked.backbone,
            regimes=asked.regimes,
            budget=asked.budget,
            image_size=asked.image_size,
            per_class=asked.per_class,
            threads=asked.threads,
        )
    )
    print(found)
    if asked.page:
        put(PAGE, f"profile of {asked.page}", found)


if __name__ == "__main__":
    main()
