"""Which engine pays: a short calibration on this machine weighs what conversion costs against the rows left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cutpoint.engines.converted import is_converted, open_onnxruntime, open_openvino
from cutpoint.engines.fused import open_fused
from cutpoint.engines.names import BATCH_SIZE, EngineChoice, EngineName, EngineRequest, Measured, is_installed
from cutpoint.engines.torch_engines import open_compiled, open_eager, open_half
from cutpoint.engines.work import Run, UnfitError, Work
from cutpoint.runtime import wait_for
from cutpoint.types import Record

TOLERANCE = 1e-4
"""Largest difference from the network itself, relative to the greatest magnitude in the same tensor: float32, rounded
in another order through fifty layers, was found to differ by up to 6e-5, and heads on it to answer alike."""
_HALF_TOLERANCE = 3e-2
"""In bfloat16, whose numbers have 8 significant bits."""

_OPENERS: Mapping[EngineName, Callable[[Work], Run]] = {
    "eager": open_eager,
    "fused": open_fused,
    "half": open_half,
    "compile": open_compiled,
    "openvino": open_openvino,
    "onnxruntime": open_onnxruntime,
}
_TITLES = {
    "eager": "PyTorch",
    "fused": "PyTorch with folded BatchNorm",
    "half": "PyTorch in bfloat16",
    "compile": "torch.compile",
    "openvino": "OpenVINO",
    "onnxruntime": "ONNX Runtime",
}


@dataclass(frozen=True)
class _Belief:
    """What is expected of an engine that was not measured on a network yet: on two cores of a server, MobileNetV2 and
    MiniLM."""

    speed: float
    """Rows a second, in those of the network itself."""
    text_speed: float
    """The same where rows differ in length, so that every batch is of another shape."""
    conversion_seconds: float
    opening_seconds: float


_BELIEFS: Mapping[EngineName, _Belief] = {
    "openvino": _Belief(1.8, 1.2, 1.5, 0.5),
    "onnxruntime": _Belief(1.1, 1.05, 1.5, 0.5),
    "fused": _Belief(1.3, 1.0, 0.0, 0.3),
}
"""The engines that "auto" weighs. Compiling takes a minute, and half precision is no equal: both must be named."""

_SHORT_SECONDS = 8.0
"""Work that the network itself does in this time is not worth a look at engines: converting one and timing both takes
about four seconds, and its lead over the rest is seldom more."""
_GLANCE = 8
"""Rows by which that is estimated."""
_CHECKED = (4, 3)
"""Rows compared with the network itself at every use: from the front of the order, and from its end. Two sizes, since
a converted program may have taken one for a constant."""
_SMALLER = (16, 8)
"""Rows at once that are tried beside the usual number."""
_WORTH_TUNING = 40 * BATCH_SIZE
"""Rows from which sizes of batches are tried; that takes as long as a few batches."""
_LOOKED_AT = 2 * BATCH_SIZE + 2 * sum(_CHECKED)
"""Rows that pass through while an engine is tried: timed after one batch to warm up, and compared."""
_CLEARLY = 0.95
"""Another engine or size of batches must promise less than this share of the time: a few rows tell no finer."""


class _Measurements(Record):
    """What is known of one program on this machine."""

    engines: dict[str, Measured]


def choose_engine(work: Work, request: EngineRequest) -> tuple[Run, EngineChoice]:
    """Open the engine that was asked for, or the one that promises to be through first.

    Args:
        work: The program and its rows.
        request: An engine, or "auto".

    Returns:
        What runs batches, and the choice with its reason. An engine that does not run here, or not as the network
        itself, is replaced by the network itself, and the reason says why.
    """
    if request == "eager":
        return open_eager(work), EngineChoice(reason="the network itself was asked for")
    if request != "auto":
        return open_chosen(work, EngineChoice(engine=request, reason="it was asked for"))
    known = work.graphs.read(_place(work), _Measurements) or _Measurements(engines={})
    search = _Search(work, dict(known.engines))
    chosen = search.run()
    work.graphs.keep(_place(work), _Measurements(engines=search.measured))
    return chosen


def open_chosen(work: Work, choice: EngineChoice) -> tuple[Run, EngineChoice]:
    """Open an engine that was chosen before; the network itself where it fails, with the reason."""
    try:
        run = _OPENERS[choice.engine](work)
        if choice.engine != "eager":
            _compare(work, choice.engine, run)
    except Exception as error:  # a converter may raise anything; the network itself always runs
        reason = f"{_TITLES[choice.engine]} is not used: {_why(error)}"
        return open_eager(work), EngineChoice(reason=reason, measured=choice.measured)
    return run, choice


@dataclass
class _Search:
    """The calibration: the most promising engine is tried, then the next, until none promises to pay."""

    work: Work
    measured: dict[str, Measured]
    opened: dict[str, Run] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def run(self) -> tuple[Run, EngineChoice]:
        eager = open_eager(self.work)
        self.opened["eager"] = eager
        rows = len(self.work.order)
        if "eager" not in self.measured:
            glance = _row_seconds(self.work, eager, min(_GLANCE, rows))
            if glance * rows < _SHORT_SECONDS:
                return eager, EngineChoice(reason="the work is too short for another engine to pay")
            self.measured["eager"] = Measured(row_seconds=_row_seconds(self.work, eager, BATCH_SIZE // 2))
        while (name := self._most_promising()) is not None:
            self._try(name)
        best = min(self.opened, key=lambda each: self.measured[each].row_seconds)
        run, size = self.opened[best], BATCH_SIZE
        if best != "eager" and rows >= _WORTH_TUNING:
            size = _best_size(self.work, run, self.measured[best].row_seconds)
        choice = EngineChoice(
            engine=best,
            batch_size=size,
            reason=self._reason(best),
            measured={each: self.measured[each] for each in self.opened},
        )
        return run, choice

    def _most_promising(self) -> EngineName | None:
        """Of those not tried yet, the one through first; None where what is open would be through before it."""
        rows = len(self.work.order)
        now = rows * min(self.measured[each].row_seconds for each in self.opened)
        waiting = {
            name: self._promised(name)
            for name in _BELIEFS
            if name not in self.opened and name not in self.failed and is_installed(name)
        }
        name = min(waiting, key=lambda each: waiting[each], default=None)
        return name if name is not None and waiting[name] < _CLEARLY * now else None

    def _promised(self, name: EngineName) -> float:
        """Seconds to the end with an engine that is yet to be tried: as it was measured before, else as is believed."""
        belief = _BELIEFS[name]
        speed = belief.speed if self.work.varying == (0,) else belief.text_speed
        expected = self.measured.get(name) or Measured(
            row_seconds=self.measured["eager"].row_seconds / speed,
            conversion_seconds=belief.conversion_seconds,
            opening_seconds=belief.opening_seconds,
        )
        conversion = 0.0 if is_converted(self.work) else expected.conversion_seconds
        rows = _LOOKED_AT + len(self.work.order)
        return conversion + expected.opening_seconds + expected.row_seconds * rows

    def _try(self, name: EngineName) -> None:
        started, converting = time.perf_counter(), self.work.graphs.seconds
        try:
            run = _OPENERS[name](self.work)
            opening = time.perf_counter() - started
            difference = _compare(self.work, name, run)
        except Exception as error:  # as in `open_chosen`
            self.failed[name] = _why(error)
            return
        converting = self.work.graphs.seconds - converting
        before = self.measured.get(name)
        self.opened[name] = run
        self.measured[name] = Measured(
            row_seconds=_row_seconds(self.work, run, BATCH_SIZE),
            conversion_seconds=converting or (before.conversion_seconds if before else 0.0),
            opening_seconds=opening - converting,
            difference=difference,
        )

    def _reason(self, best: str) -> str:
        told = [
            f"{_TITLES[name]} {1000 * self.measured[name].row_seconds:,.1f} ms a row"
            for name in sorted(self.opened, key=lambda each: self.measured[each].row_seconds)
        ]
        lost = [f"{_TITLES[name]} is not used: {why}" for name, why in self.failed.items()]
        if best != "eager":
            told[0] += f", {self.measured[best].difference:.0e} from the network itself"
        return "; ".join([*told, *lost])


def _compare(work: Work, engine: str, run: Run) -> float:
    """Largest relative difference from the network itself on a few rows.

    Raises:
        UnfitError: It is larger than the tolerance.
    """
    eager, worst = open_eager(work), 0.0
    for rows in (work.order[: _CHECKED[0]], work.order[-_CHECKED[1] :]):
        batch = work.read(rows)
        found, expected = run(batch), eager(batch)
        if [part.shape for part in found] != [part.shape for part in expected]:
            raise UnfitError("its results have other shapes than the network's")
        worst = max(worst, *(_difference(*pair) for pair in zip(found, expected, strict=True)))
    if not worst <= (_HALF_TOLERANCE if engine == "half" else TOLERANCE):
        raise UnfitError(f"its results differ by {worst:.0e} from the network's")
    return worst


def _difference(found: Tensor, expected: Tensor) -> float:
    """NaN where either is not finite."""
    scale = expected.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    return float((found - expected).abs().max() / scale)


def _row_seconds(work: Work, run: Run, rows: int) -> float:
    """After one batch to warm up."""
    batch = work.middle(rows)
    run(batch)
    return _seconds(work, run, [batch]) / len(batch)


def _seconds(work: Work, run: Run, batches: list[Tensor]) -> float:
    wait_for(work.device)
    started = time.perf_counter()
    for batch in batches:
        run(batch)
    return time.perf_counter() - started


def _best_size(work: Work, run: Run, row_seconds: float) -> int:
    """Rows at once that a few rows pass through fastest; another than the usual only where that is clear.

    Args:
        work: The program and its rows.
        run: An engine.
        row_seconds: What a row takes it in batches of the usual size.
    """
    batch, times = work.middle(BATCH_SIZE), {}
    for size in _SMALLER:
        parts = list(torch.split(batch, size))
        run(parts[0])
        times[size] = _seconds(work, run, parts) / len(batch)
    best = min(times, key=lambda size: times[size])
    return best if times[best] < _CLEARLY * row_seconds else BATCH_SIZE


def _place(work: Work) -> dict[str, object]:
    return {**work.key, "threads": torch.get_num_threads(), "device": str(work.device)}


def _why(error: Exception) -> str:
    """The first line of what went wrong."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
