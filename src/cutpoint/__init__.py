"""Cutpoint: how much of a pretrained model should you train? Measured on your data, cheapest first."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cutpoint.api import advise, audit, evaluate, fit, fix_splits, load, merge, train
    from cutpoint.errors import CutpointError
    from cutpoint.estimators import CutpointClassifier, CutpointRegressor

__version__ = "0.1.0"
__all__ = [
    "CutpointClassifier",
    "CutpointError",
    "CutpointRegressor",
    "advise",
    "audit",
    "evaluate",
    "fit",
    "fix_splits",
    "load",
    "merge",
    "train",
]

_ROOMS = {
    "CutpointClassifier": "estimators",
    "CutpointRegressor": "estimators",
    "CutpointError": "errors",
    "advise": "api",
    "audit": "api",
    "evaluate": "api",
    "fit": "api",
    "fix_splits": "api",
    "load": "api",
    "merge": "api",
    "train": "api",
}


def __getattr__(name: str) -> Any:
    """Import the room of a public name when it is first used: torch alone takes two seconds."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'cutpoint' has no attribute '{name}'")
    return getattr(importlib.import_module(f"cutpoint.{_ROOMS[name]}"), name)


class _Package(ModuleType):
    """The package, where no room hides a public name: `cutpoint.audit` is the verb, though a room is called so too."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _ROOMS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    """Public names, also those that are not imported yet: what notebooks complete."""
    return sorted((*__all__, "__version__"))
