"""`cutpoint fit` and `cutpoint train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cutpoint.cli import options
from cutpoint.cli.screen import results, talk, write
from cutpoint.sizes import parse_size

if TYPE_CHECKING:
    from cutpoint.types import Limits, Result

_RUN = Path("cutpoint-run")
INTERRUPTED = 130


def fit(
    data: options.Data,
    backbone: options.Backbones = None,
    regime: options.Regimes = None,
    budget: options.Budget = "20m",
    target: options.Target = None,
    min_gain: options.MinGain = 0.005,
    exhaustive: options.Exhaustive = False,
    remedies: options.Remedies = True,
    max_latency: options.MaxLatency = None,
    max_memory: options.MaxMemory = None,
    max_stored: options.MaxStored = None,
    local_only: options.LocalOnly = False,
    known_provenance: options.KnownProvenance = False,
    cut: options.Cut = None,
    image_size: options.ImageSize = None,
    max_length: options.MaxLength = None,
    input_column: options.InputColumn = None,
    target_column: options.TargetColumn = None,
    task: options.TaskKind = None,
    metric: options.Metric = None,
    reference: options.Reference = None,
    pack: options.Pack = True,
    group: options.Group = None,
    labels: options.Labels = None,
    test_fraction: options.TestFraction = 0.2,
    per_class: options.PerClass = None,
    max_unreadable: options.MaxUnreadable = 0.05,
    allow_leakage: options.AllowLeakage = False,
    out: options.Out = _RUN,
    restart: options.Restart = False,
    as_json: options.Json = False,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    cache: options.Cache = None,
    cache_limit: options.CacheLimit = "20GiB",
) -> None:
    """Find the cheapest adapted model that is good enough, with the evidence.

    Regimes run cheapest first until nothing left can pay. RUN then holds model/, report.html and result.json. The
    same command goes on after an interruption.
    """
    _run(
        data,
        as_json=as_json,
        backbones=named(backbone),
        regimes=named(regime),
        budget=budget,
        out=out,
        target=target,
        min_gain=min_gain,
        exhaustive=exhaustive,
        remedies=remedies,
        limits=limits_of(max_latency, max_memory, max_stored, local_only, known_provenance),
        cut=cut_of(cut),
        image_size=image_size,
        max_length=max_length,
        input_column=input_column,
        target_column=target_column,
        task=task,
        metric=metric,
        reference=reference,
        pack=pack,
        group=group,
        labels=labels,
        test_fraction=test_fraction,
        per_class=per_class,
        max_unreadable=max_unreadable,
        allow_leakage=allow_leakage,
        seed=seed,
        threads=threads,
        device=device,
        engine=engine,
        cache=cache,
        cache_limit=parse_size(cache_limit),
        restart=restart,
    )


def train(
    data: options.Data,
    regime: options.Regime = "linear-probe",
    backbone: options.Backbones = None,
    budget: options.Budget = "20m",
    max_latency: options.MaxLatency = None,
    max_memory: options.MaxMemory = None,
    max_stored: options.MaxStored = None,
    local_only: options.LocalOnly = False,
    known_provenance: options.KnownProvenance = False,
    cut: options.Cut = None,
    image_size: options.ImageSize = None,
    max_length: options.MaxLength = None,
    input_column: options.InputColumn = None,
    target_column: options.TargetColumn = None,
    task: options.TaskKind = None,
    metric: options.Metric = None,
    reference: options.Reference = None,
    pack: options.Pack = True,
    group: options.Group = None,
    labels: options.Labels = None,
    test_fraction: options.TestFraction = 0.2,
    per_class: options.PerClass = None,
    max_unreadable: options.MaxUnreadable = 0.05,
    allow_leakage: options.AllowLeakage = False,
    out: options.Out = _RUN,
    restart: options.Restart = False,
    as_json: options.Json = False,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    cache: options.Cache = None,
    cache_limit: options.CacheLimit = "20GiB",
) -> None:
    """Run one regime, judged like a race of one."""
    _run(
        data,
        as_json=as_json,
        backbones=named(backbone),
        regimes=regime,
        budget=budget,
        out=out,
        limits=limits_of(max_latency, max_memory, max_stored, local_only, known_provenance),
        cut=cut_of(cut),
        image_size=image_size,
        max_length=max_length,
        input_column=input_column,
        target_column=target_column,
        task=task,
        metric=metric,
        reference=reference,
        pack=pack,
        group=group,
        labels=labels,
        test_fraction=test_fraction,
        per_class=per_class,
        max_unreadable=max_unreadable,
        allow_leakage=allow_leakage,
        seed=seed,
        threads=threads,
        device=device,
        engine=engine,
        cache=cache,
        cache_limit=parse_size(cache_limit),
        restart=restart,
    )


def _run(data: str, *, as_json: bool, **chosen: Any) -> None:
    """Race, watched from the terminal; then the result on stdout."""
    try:
        from cutpoint import api
        from cutpoint.cli.watch import race_watcher

        with race_watcher() as watcher:
            result = api.fit(data, watcher=watcher, **chosen)
    except KeyboardInterrupt:
        talk().print("Interrupted. The same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None
    show_result(result, as_json=as_json)
    if result.status == "interrupted":
        raise typer.Exit(INTERRUPTED)


def show_result(result: Result, *, as_json: bool) -> None:
    """The result as JSON, or as a table with the next command to type."""
    if as_json:
        write(result.model_dump_json(indent=1))
        return
    from cutpoint.reports import print_result

    console = results()
    print_result(result, console)
    if result.winner is not None:
        what = {"image": "IMAGES…", "text": "TEXTS…|TABLE", "signal": "SOUNDS…"}.get(
            result.data.modality, "TABLE"
        )
        console.print(
            f"Use it: cutpoint predict {result.best} {what}", style="dim", markup=False, soft_wrap=True
        )


def limits_of(
    latency: float | None, memory: str | None, stored: str | None, local_only: bool, known_provenance: bool
) -> Limits:
    """Limits as they were said.

    Raises:
        CutpointError: What should be a size is none.
    """
    from cutpoint.types import Limits

    return Limits(
        max_latency_ms=latency,
        max_memory_bytes=None if memory is None else parse_size(memory),
        max_stored_bytes=None if stored is None else parse_size(stored),
        local_only=local_only,
        known_provenance=known_provenance,
    )


def named(names: Sequence[str] | None) -> str | list[str]:
    """What was named; "auto" where nothing was; a single name as such, since it may stand for several."""
    if not names:
        return "auto"
    return names[0] if len(names) == 1 else list(names)


def cut_of(text: str | None) -> int | str | None:
    """A number of frozen blocks, or a block's name or pattern."""
    return int(text) if text is not None and text.isdecimal() else text
