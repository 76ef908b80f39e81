"""`cutpoint advise`."""

from __future__ import annotations

from typing import Any

import typer

from cutpoint.cli import options
from cutpoint.cli.fit import INTERRUPTED, cut_of, limits_of, named
from cutpoint.cli.repeated import next_command
from cutpoint.cli.screen import results, talk, write
from cutpoint.sizes import parse_size

_BUDGET = "20m"
_TEST_FRACTION = 0.2


def advise(
    data: options.Data,
    backbone: options.Backbones = None,
    regime: options.Regimes = None,
    budget: options.Budget = _BUDGET,
    tasks: options.Tasks = 1,
    retrain: options.Retrain = "never",
    wrong_costs: options.WrongCosts = "nothing special",
    unlabelled: options.Unlabelled = None,
    other_task: options.OtherTask = None,
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
    group: options.Group = None,
    test_fraction: options.TestFraction = _TEST_FRACTION,
    per_class: options.PerClass = None,
    max_unreadable: options.MaxUnreadable = 0.05,
    as_json: options.Json = False,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    device: options.Device = "auto",
    cache: options.Cache = None,
    cache_limit: options.CacheLimit = "20GiB",
) -> None:
    """Measure the axes and say what the field's rules make of them, before any race.

    Takes seconds and trains nothing but heads: size, distance, predicted cost of every regime, the rules that fire and
    where they disagree, the decision tree, and a checklist.
    """
    limits = limits_of(max_latency, max_memory, max_stored, local_only, known_provenance)
    # What the recommended command repeats: the options that `fit` has too, where they say something.
    repeated: dict[str, Any] = {
        "budget": None if budget == _BUDGET else budget,
        "max_latency": max_latency,
        "max_memory": max_memory,
        "max_stored": max_stored,
        "local_only": local_only or None,
        "known_provenance": known_provenance or None,
        "test_fraction": None if test_fraction == _TEST_FRACTION else test_fraction,
        "per_class": per_class,
        "seed": seed or None,
    }
    chosen: dict[str, Any] = {
        "input_column": input_column,
        "target_column": target_column,
        "task": task,
        "metric": metric,
        "group": group,
        "image_size": image_size,
        "max_length": max_length,
    }
    try:
        from cutpoint import api
        from cutpoint.cli.watch import race_watcher
        from cutpoint.types import Circumstances

        with race_watcher() as watcher:
            advice = api.advise(
                data,
                backbones=named(backbone),
                regimes=named(regime),
                budget=budget,
                limits=limits,
                circumstances=Circumstances(
                    unlabelled=unlabelled,
                    other_task=other_task,
                    tasks=tasks,
                    retrain=retrain,
                    wrong_costs=wrong_costs,
                ),
                cut=cut_of(cut),
                test_fraction=test_fraction,
                per_class=per_class,
                max_unreadable=max_unreadable,
                seed=seed,
                threads=threads,
                device=device,
                cache=cache,
                cache_limit=parse_size(cache_limit),
                watcher=watcher,
                **chosen,
            )
    except KeyboardInterrupt:
        talk().print("Interrupted.")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        write(advice.model_dump_json(indent=1))
        return
    from cutpoint.reports.advice_terminal import print_advice

    # It tries the recommended regime in its turn.
    command = next_command("fit", data, backbone, chosen | repeated)
    print_advice(advice, results(), command=command)
