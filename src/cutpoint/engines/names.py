"""The engines by name, and the record of which one was chosen."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, get_args

from pydantic import Field

from cutpoint.errors import CutpointError
from cutpoint.types import Record

EngineName = Literal["eager", "fused", "half", "compile", "openvino", "onnxruntime"]
EngineRequest = Literal["auto", "eager", "fused", "half", "compile", "openvino", "onnxruntime"]

BATCH_SIZE = 32
"""Rows at once where nothing else was found to be faster; always so for the network itself, whose results differ in
the last bit between batches of different size."""

LIBRARIES = {"openvino": ("openvino", "onnx"), "onnxruntime": ("onnxruntime", "onnx")}
"""Engine → modules that it needs beside torch: the extra cutpoint[engines]."""


class Measured(Record):
    """How one engine did on a few rows of the data; kept beside the cache, so that it is measured once."""

    row_seconds: float
    """One row, in batches."""
    conversion_seconds: float = 0.0
    """Of the network into a graph, which is kept."""
    opening_seconds: float = 0.0
    """From there to an engine that runs."""
    difference: float = 0.0
    """The largest from the network itself, relative to the scale of the features."""


class EngineChoice(Record):
    """What computes the frozen features of one backbone, and why; it stands in the plan, so that a run that goes on
    has the same."""

    engine: EngineName = "eager"
    batch_size: int = BATCH_SIZE
    reason: str = ""
    measured: dict[str, Measured] = Field(default_factory=dict)
    """Engine → how it did, of those that were tried."""

    @property
    def key(self) -> dict[str, object]:
        """What tells the results of this choice from the network's own, for the descriptions of arrays."""
        if self.engine == "eager":
            return {}
        return {"engine": self.engine, "batch_size": self.batch_size}


def is_installed(engine: str) -> bool:
    """Whether the libraries of an engine are here."""
    return all(find_spec(library) is not None for library in LIBRARIES.get(engine, ()))


def check_installed(request: EngineRequest) -> None:
    """Raise a CutpointError where there is no engine of that name, or its libraries are absent."""
    if request not in get_args(EngineRequest):
        raise CutpointError(
            f"There is no engine {request!r}.", f"Choose one of {', '.join(get_args(EngineRequest))}."
        )
    if not is_installed(request):
        raise CutpointError(
            f"The engine {request!r} needs {' and '.join(LIBRARIES[request])}.",
            "Install them with: pip install 'cutpoint[engines]'; or choose --engine auto.",
        )
