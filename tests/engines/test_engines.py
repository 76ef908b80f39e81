"""Every engine answers as the network itself, or is not used, and the one that pays is chosen."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cutpoint.engines import choose
from cutpoint.engines.choose import choose_engine, open_chosen
from cutpoint.engines.fused import fold_batchnorm
from cutpoint.engines.graphs import GraphFolder
from cutpoint.engines.names import BATCH_SIZE, EngineChoice, check_installed
from cutpoint.engines.work import Run, UnfitError, Work
from cutpoint.errors import CutpointError

ROWS = 20
SIDE = 12


class Normed(nn.BatchNorm2d):
    """A norm that also rectifies, as in timm."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.act = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.act(super().forward(inputs))


class Tiny(nn.Module):
    """Convolutions with norms of two kinds; one norm reads a sum, and must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), Normed(8)
        self.second, self.second_norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.last_norm = nn.BatchNorm2d(8)

    def forward(self, prepared: Tensor) -> tuple[Tensor, ...]:
        inputs = prepared.float().div_(255)
        first = self.first_norm(self.first(inputs))
        last = self.last_norm(first + self.second_norm(self.second(first)))
        return last.mean((2, 3)), first.mean((2, 3))


class Text(nn.Module):
    """Mean of embedded tokens; the batch may be of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 6)

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        mask = (tokens[:, 0] >= 0).unsqueeze(2)
        states = self.table(tokens[:, 0].clamp_min(0)) * mask
        return (states.sum(1) / mask.sum(1),)


def made(program: nn.Module) -> nn.Module:
    """In inference mode, with statistics of some rows in its norms."""
    torch.manual_seed(0)
    for parameter in program.parameters():
        nn.init.normal_(parameter, std=0.3)
    if isinstance(program, Tiny):
        for _ in range(4):
            program.train()(torch.randint(0, 255, (16, 3, SIDE, SIDE)))
    return program.eval()


def work_of(program: nn.Module, folder: Path, rows: int = ROWS, limit: int = 1 << 30) -> Work:
    images = torch.randint(0, 255, (ROWS, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    images = images.to(torch.uint8)
    return Work(
        program=made(program),
        read=lambda positions: images[torch.from_numpy(positions) % ROWS],
        order=np.arange(rows),
        device=torch.device("cpu"),
        varying=(0,),
        graphs=GraphFolder(folder, limit),
        key={"network": type(program).__name__},
    )


def text_work(folder: Path) -> Work:
    def read(positions: np.ndarray) -> Tensor:
        longest = 12 - int(positions.min()) // 2
        tokens = (torch.arange(longest)[None] * 7 + torch.from_numpy(positions)[:, None]) % 50
        tokens[1:, -1] = -1
        return tokens[:, None].repeat(1, 3, 1)

    return replace(
        work_of(Tiny(), folder), program=made(Text()), read=read, varying=(0, 2), key={"network": "text"}
    )


def difference(run: Run, work: Work, rows: int) -> float:
    batch = work.read(work.order[:rows])
    with torch.no_grad():
        expected = work.program(batch)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(run(batch), expected, strict=True))


@pytest.mark.parametrize("engine", ["fused", "openvino", "onnxruntime"])
def test_an_engine_answers_as_the_network_itself(engine: Any, tmp_path: Path) -> None:
    if engine != "fused":
        pytest.importorskip(engine)
        pytest.importorskip("onnx")
    work = work_of(Tiny(), tmp_path)
    run, choice = choose_engine(work, engine)
    assert choice.engine == engine, choice.reason
    for rows in (1, 5, ROWS):
        assert difference(run, work, rows) <= choose.TOLERANCE
    assert not [path for path in tmp_path.iterdir() if path.suffix not in (".onnx", ".json")]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_texts_of_any_length_and_a_graph_that_is_kept(engine: Any, tmp_path: Path) -> None:
    pytest.importorskip(engine)
    pytest.importorskip("onnx")
    work = text_work(tmp_path)
    run, choice = choose_engine(work, engine)
    assert choice.engine == engine, choice.reason
    assert work.read(work.order[:3]).shape != work.read(work.order[-3:]).shape
    assert difference(run, work, 7) <= choose.TOLERANCE
    (kept,) = tmp_path.glob("*.onnx")
    written = kept.stat().st_ino
    again = replace(work, graphs=GraphFolder(tmp_path, 1 << 30))
    assert open_chosen(again, choice)[1] == choice
    assert kept.stat().st_ino == written and again.graphs.seconds == 0.0
    full = replace(work, graphs=GraphFolder(tmp_path / "full", 10))
    choice = choose_engine(full, engine)[1]
    assert choice.engine == "eager" and choice.reason.endswith("leaves no room for the converted network")


def test_folding_leaves_the_network_alone_and_keeps_other_norms() -> None:
    program = made(Tiny())
    before = {name: value.clone() for name, value in program.state_dict().items()}
    batch = torch.randint(0, 255, (4, 3, SIDE, SIDE))
    folded: Any = fold_batchnorm(program, batch)
    assert all(torch.equal(value, before[name]) for name, value in program.state_dict().items())
    assert not hasattr(folded.first_norm, "running_mean") and not hasattr(folded.second_norm, "running_mean")
    assert folded.last_norm.weight is program.last_norm.weight  # what is not folded is shared, not copied
    with pytest.raises(UnfitError, match="no BatchNorm follows"):
        fold_batchnorm(made(Text()), torch.zeros(1, 3, 4, dtype=torch.int64))


def test_an_engine_that_answers_otherwise_is_not_used(tmp_path: Path) -> None:
    """Where something beside the norm reads a convolution, folding changes the answer: the comparison shows it."""

    class Forked(Tiny):
        def forward(self, prepared: Tensor) -> tuple[Tensor, ...]:
            first = self.first(prepared.float().div_(255))
            return ((self.first_norm(first) + first).mean((2, 3)),)

    work = work_of(Forked(), tmp_path)
    run, choice = choose_engine(work, "fused")
    assert choice.engine == "eager"
    assert choice.reason.startswith("PyTorch with folded BatchNorm is not used: its results differ by ")
    assert difference(run, work, ROWS) == 0.0


def test_half_precision_needs_a_gpu_and_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = choose_engine(work_of(Tiny(), tmp_path), "half")[1]
    assert choice.engine == "eager" and "bfloat16 on cpu" in choice.reason
    monkeypatch.setattr("cutpoint.engines.names.find_spec", lambda library: None)
    with pytest.raises(CutpointError, match="openvino and onnx"):
        check_installed("openvino")
    check_installed("auto")
    choice = choose_engine(work_of(Tiny(), tmp_path), "onnxruntime")[1]
    assert choice == EngineChoice(reason="ONNX Runtime is not used: it is not installed")


def test_short_work_is_left_to_the_network_itself(tmp_path: Path) -> None:
    work = work_of(Tiny(), tmp_path)
    run, choice = choose_engine(work, "auto")
    assert choice.engine == "eager" and choice.batch_size == BATCH_SIZE and "too short" in choice.reason
    assert difference(run, work, ROWS) == 0.0
    assert not list(tmp_path.glob("*.onnx"))


class Clock:
    """Moved by engines, so that the load of the machine decides nothing."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def slowed(self, seconds: float) -> Callable[[Work], Run]:
        """An engine that answers right and takes that long a row."""

        def opened(work: Work) -> Run:
            def run(batch: Tensor) -> list[Tensor]:
                self.now += seconds * len(batch)
                with torch.no_grad():
                    return list(work.program(batch))

            return run

        return opened


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Two engines beside a network of 4 ms a row; what was opened how often."""
    opened: dict[str, int] = {}

    def counted(name: str, opener: Callable[[Work], Run]) -> Callable[[Work], Run]:
        def opens(work: Work) -> Run:
            opened[name] = opened.get(name, 0) + 1
            return opener(work)

        return opens

    clock = Clock()
    openers = {"eager": clock.slowed(0.004), "fused": clock.slowed(0.003), "openvino": clock.slowed(0.001)}
    monkeypatch.setattr(choose, "_SHORT_SECONDS", 4.0)
    monkeypatch.setattr(choose, "time", clock)
    monkeypatch.setattr(choose, "_OPENERS", {name: counted(name, each) for name, each in openers.items()})
    monkeypatch.setattr(choose, "open_eager", openers["eager"])
    monkeypatch.setattr(choose, "is_installed", lambda name: name in openers)
    return opened


def test_the_engine_that_is_through_first_is_chosen_and_remembered(
    engines: dict[str, int], tmp_path: Path
) -> None:
    work = work_of(Tiny(), tmp_path, rows=1200)  # 4.8 s: below what converting is believed to take
    assert choose_engine(work, "auto")[1].engine == "fused"
    assert engines == {"fused": 1}
    many = work_of(Tiny(), tmp_path, rows=200_000)
    run, choice = choose_engine(many, "auto")
    assert choice.engine == "openvino" and set(choice.measured) == {"eager", "openvino"}
    assert choice.measured["openvino"].row_seconds == pytest.approx(0.001)
    assert choice.batch_size == BATCH_SIZE
    assert choice.reason.startswith("OpenVINO 1.0 ms a row") and choice.reason.endswith(
        "PyTorch 4.0 ms a row"
    )
    assert difference(run, many, 5) == 0.0
    engines.clear()
    assert choose_engine(work, "auto")[1].engine == "openvino"  # known by now to be quick to open
    assert engines == {"openvino": 1}


def test_little_promised_by_a_converted_network_of_texts_is_not_looked_at(
    engines: dict[str, int], tmp_path: Path
) -> None:
    texts = replace(work_of(Tiny(), tmp_path, rows=4_000), varying=(0, 2))  # 16 s
    assert choose_engine(texts, "auto")[1].engine == "eager" and engines == {}
    many = replace(texts, order=np.arange(16_000))
    assert choose_engine(many, "auto")[1].engine == "openvino"


def test_an_engine_that_fails_under_auto_is_told(engines: dict[str, int], tmp_path: Path) -> None:
    def broken(work: Work) -> Run:
        raise RuntimeError("unsupported operation\nand a long trace")

    choose._OPENERS["openvino"] = broken  # type: ignore[index]
    choice = choose_engine(work_of(Tiny(), tmp_path, rows=200_000), "auto")[1]
    assert choice.engine == "fused"
    assert choice.reason.endswith("OpenVINO is not used: unsupported operation")


def test_the_oldest_graphs_make_room(tmp_path: Path) -> None:

    def writes(draft: Path) -> None:
        draft.write_bytes(b"0123456789")

    folder = GraphFolder(tmp_path, 25)
    for number in range(3):
        path = folder.graph({"network": number}, 10, writes)
        assert path is not None and path.exists()
        os.utime(path, (number, number))
    assert [folder.has({"network": number}) for number in range(3)] == [False, True, True]
    assert folder.graph({"network": 4}, 26, writes) is None

    def fails(draft: Path) -> None:
        draft.write_bytes(b"half of it")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        folder.graph({"network": 5}, 10, fails)
    assert not folder.has({"network": 5}) and not list(tmp_path.glob("*.partial"))
