"""Imports torchvision even where its compiled operators do not fit the installed torch.

The torchvision wheel that pip picks beside a CPU build of torch often carries operators for another build.
They do not load, and `import torchvision` fails with "operator torchvision::nms does not exist", which takes
timm and parts of transformers with it. Everything that this package needs (transforms, models) is plain
Python: declaring the schemas of the missing operators is enough. A torchvision that imports is left as it is.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import torch

from cutpoint.errors import BackboneError

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_libraries: list[Any] = []
"""Declared schemas live as long as their library object."""


def import_torchvision() -> ModuleType:
    """Import torchvision, repairing a mismatched installation first.

    Call it before any import of timm, transformers or torchvision.

    Returns:
        The torchvision module.

    Raises:
        BackboneError: torchvision is missing, or broken in another way than by missing operators.
    """
    try:
        return importlib.import_module("torchvision")
    except ImportError as error:
        raise _unusable(error) from error
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise _unusable(error) from error
    _forget_half_imported()
    _declare_operators()
    try:
        return importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        raise _unusable(error) from error


def _forget_half_imported() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]


def _declare_operators() -> None:
    constructor: Any = torch.library.Library
    library = constructor("torchvision", "FRAGMENT")
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)
    _libraries.append(library)


def _unusable(error: Exception) -> BackboneError:
    return BackboneError(
        f"torchvision cannot be imported: {error}",
        "install the pair of torch and torchvision that belong together, e.g. torch 2.13.0 with "
        "torchvision 0.28.0 (pip install -c constraints.txt torch torchvision)",
    )
