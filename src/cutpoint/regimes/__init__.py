"""Regimes as data: the record, the table, and what a phase means on a given backbone."""

from cutpoint.regimes.regime import Augmentation, Objective, Phase, Regime
from cutpoint.regimes.table import Audience, named_regimes, read_regime, resolve_regimes

__all__ = [
    "Audience",
    "Augmentation",
    "Objective",
    "Phase",
    "Regime",
    "named_regimes",
    "read_regime",
    "resolve_regimes",
]
