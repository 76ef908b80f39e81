"""Engines that run a converted program: OpenVINO and ONNX Runtime, both from one ONNX file."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cutpoint.backbones.order import inference
from cutpoint.engines.names import is_installed
from cutpoint.engines.work import Run, UnfitError, Work
from cutpoint.runtime import installed_versions

_FORMAT = 1
_INPUT = "rows"
_CONVERTERS = ("torch", "timm", "transformers", "onnx")
"""Libraries whose versions decide what a converted network looks like."""


def open_openvino(work: Work) -> Run:
    """Intel's engine for CPUs, in float32.

    Raises:
        UnfitError: It is not installed, or cannot run the program.
    """
    graph = _graph(work, "openvino")
    # Its Python package tells its maker of every import and conversion, unasked; without this module it does not.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    threads = torch.get_num_threads()
    # A share of the batch for each thread: they wait for each other once a batch, not once a layer.
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": threads}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(graph), "CPU", options)
    requests = [compiled.create_infer_request() for _ in range(threads)]

    def run(batch: Tensor) -> list[Tensor]:
        shares = torch.tensor_split(batch.contiguous(), min(threads, len(batch)))
        asked = requests[: len(shares)]
        for request, share in zip(asked, shares, strict=True):
            request.start_async([share.numpy()], share_inputs=True)
        for request in asked:
            request.wait()
        answers = ([output.data for output in request.output_tensors] for request in asked)
        return [torch.from_numpy(np.concatenate(parts)) for parts in zip(*answers, strict=True)]

    return run


def open_onnxruntime(work: Work) -> Run:
    """ONNX Runtime on the CPU, in float32.

    Raises:
        UnfitError: It is not installed, or cannot run the program.
    """
    graph = _graph(work, "onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    # Threads that spin while they wait would take the cores from those that decode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def run(batch: Tensor) -> list[Tensor]:
        return [torch.from_numpy(part) for part in session.run(None, {_INPUT: batch.contiguous().numpy()})]

    return run


def is_converted(work: Work) -> bool:
    """Whether the graph of a program is kept already."""
    return work.graphs.has(_key(work))


def _graph(work: Work, engine: str) -> Path:
    """The program as an ONNX file, converted where that was not done before."""
    if not is_installed(engine):
        raise UnfitError("it is not installed")
    if work.device.type != "cpu":
        raise UnfitError(f"it runs on the CPU, and the network is on {work.device}")
    size = sum(each.nbytes for each in (*work.program.parameters(), *work.program.buffers()))
    path = work.graphs.graph(_key(work), size, lambda draft: _export(work, draft))
    if path is None:
        raise UnfitError("the cache's limit leaves no room for the converted network")
    return path


def _key(work: Work) -> dict[str, Any]:
    return {**work.key, "format": _FORMAT, "versions": installed_versions(_CONVERTERS)}


def _export(work: Work, path: Path) -> None:
    """By tracing: what depends on the data in Python is left as it was for these rows, which the comparison shows."""
    batch = work.middle(2)
    names: dict[int, Any] = {axis: f"axis {axis}" for axis in work.varying}
    with inference(work.program), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that tracing is old, and that sizes become constants
        torch.onnx.export(
            work.program,
            (batch,),
            str(path),
            dynamo=False,
            input_names=[_INPUT],
            dynamic_axes={_INPUT: names},
        )
