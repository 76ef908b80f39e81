"""Libraries that Cutpoint imports where it first uses them; here before the clock starts, as the peers' are."""

from __future__ import annotations

import importlib

from cutpoint.backbones.torchvision_repair import import_torchvision

_LIBRARIES = ("timm", "transformers", "peft", "sklearn.linear_model", "scipy.stats", "matplotlib.pyplot")


def import_libraries() -> None:
    """Import all of them."""
    import_torchvision()
    for name in _LIBRARIES:
        importlib.import_module(name)
