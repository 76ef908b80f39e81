"""Run folders of the made-up results."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cutpoint.types import Result

sys.path.insert(0, str(Path(__file__).parent))  # samples stand beside the tests


@pytest.fixture
def run_folder(tmp_path: Path) -> Callable[[Result], Path]:
    """Writes a result as the race would and returns its run folder, which holds a model folder."""

    def write(result: Result) -> Path:
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "result.json").write_text(result.model_dump_json(), encoding="utf-8")
        return tmp_path

    return write
