"""What every test shares: real data where it is at hand, few threads, no network."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side
os.environ.setdefault("HF_HUB_OFFLINE", "1")

_REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_REPOSITORY / "tests"))  # tiny_texts.py and tiny_images.py stand beside the tests


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data and weights; tests that need it are skipped, visibly, where it is absent."""
    folder = Path(os.environ.get("CUTPOINT_SHARED", _REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent (set CUTPOINT_SHARED)")
    return folder


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small pictures whose classes differ by the direction of their stripes."""
    from tiny_images import draw_stripes

    return draw_stripes(tmp_path_factory.mktemp("data") / "stripes", per_class=24)
