"""A tiny folder of images, and the command line run in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that a probe tells apart: upright and level bars, 12 a class."""
    folder = tmp_path_factory.mktemp("bars")
    random = np.random.default_rng(0)
    for label in ("level", "upright"):
        (folder / label).mkdir()
        for number in range(12):
            pixels = random.integers(0, 60, (24, 24)).astype(np.uint8)
            start = int(random.integers(4, 16))
            if label == "level":
                pixels[start : start + 4, 3:21] = 230
            else:
                pixels[3:21, start : start + 4] = 230
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def cutpoint(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line; stdout and stderr apart."""
    from cutpoint.cli.main import main

    monkeypatch.delenv("CUTPOINT_DEBUG", raising=False)

    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture(scope="session")
def trained(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one probe."""
    from cutpoint import api

    out = tmp_path_factory.mktemp("trained") / "run"
    api.fit(
        str(bars),
        backbones="builtin:glyphs",
        regimes="linear-probe",
        budget=60,
        out=out,
        cache=out.parent / "cache",
    )
    return out
