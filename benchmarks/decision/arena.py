"""What a cell's exhaustive run and its race have in common: rows, backbones, regimes, fixed choices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cutpoint.features.store import ActivationCache
from cutpoint.planning.entries import hand_made
from cutpoint.planning.plan import Entry
from cutpoint.planning.settings import Settings
from cutpoint.regimes import resolve_regimes
from cutpoint.runtime import set_threads, tune_allocator
from cutpoint.types import Dataset

from .cells import Cell

BUDGET_SECONDS = 1e9
"""No budget binds: what a race saves, it saves by its own choice."""


@dataclass(frozen=True)
class Arena:
    """One cell under one seed, on one thread, with a cold cache."""

    dataset: Dataset
    entries: list[Entry]
    settings: Settings
    cache: ActivationCache


def arena(cell: Cell, seed: int, work: Path, cache: str) -> Arena:
    """Everything that `cutpoint fit` would race by itself on the cell, computed by PyTorch alone.

    Args:
        cell: Rows and backbone.
        seed: Draws the training rows and decides every fit.
        work: Folder for spectrograms and caches.
        cache: Name of the cache's folder.
    """
    tune_allocator()
    set_threads(1)
    dataset = cell.dataset(seed, work)
    regimes = resolve_regimes("auto", "text" if cell.is_text else "image")
    return Arena(
        dataset,
        [Entry(cell.backbone(), regimes), hand_made(dataset)],
        Settings(budget_seconds=BUDGET_SECONDS, seed=seed, threads=1, remedies=False, engine="eager"),
        ActivationCache(work / cache),
    )
