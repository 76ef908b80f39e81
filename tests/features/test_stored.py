"""Arrays on disk: what is read of them does not stay with the process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cutpoint.features import stored
from cutpoint.features.store import ActivationCache
from cutpoint.features.stored import StoredArray

ROWS, WIDTH = 60_000, 256


def _file_megabytes() -> float:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssFile:"):
            return int(line.split()[1]) / 1024
    raise AssertionError


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells which pages are held")
def test_a_process_holds_little_of_what_it_writes_and_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "HELD_BYTES", 4 << 20)
    before = _file_megabytes()
    most = 0.0

    def parts() -> object:
        nonlocal most
        for start in range(0, ROWS, 1000):
            yield np.arange(start, start + 1000), np.full((1000, WIDTH), start, dtype=np.float32)
            most = max(most, _file_megabytes())

    found = ActivationCache(tmp_path).write({"what": "a"}, (ROWS, WIDTH), np.float32, parts())  # 61 MB
    random = np.random.default_rng(0)
    for _ in range(40):
        rows = random.integers(0, ROWS, 200)
        assert (found[rows][:, 0] == rows // 1000 * 1000).all()
        most = max(most, _file_megabytes())
    assert most - before < 30


def test_parts_of_it_are_plain_arrays_and_views_of_it_are_stored(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    found = ActivationCache(tmp_path).write({"what": "a"}, values.shape, np.float32, [(np.arange(4), values)])
    assert isinstance(found, StoredArray) and isinstance(found[:, 1:], StoredArray)
    for plain in (found[np.array([2, 0])], found[:, 1:][np.array([1])], found - 1, found.mean(axis=0)):
        assert type(plain) is np.ndarray
    assert np.array_equal(found[:, 1:][np.array([3])], values[3:, 1:])
    assert float(found.sum()) == values.sum() and found[1, 2] == values[1, 2]


@pytest.mark.parametrize("chosen", ["scattered", "in order", "mask", "nothing", "again and again"])
def test_many_rows_at_once_are_the_same_rows(tmp_path: Path, chosen: str) -> None:
    values = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    found = ActivationCache(tmp_path).write(
        {"what": "a"}, values.shape, np.float32, [(np.arange(1000), values)]
    )
    random = np.random.default_rng(0)
    rows = {
        "scattered": random.permutation(1000)[:700],
        "in order": np.sort(random.permutation(1000)[:700]),
        "mask": random.random(1000) < 0.5,
        "nothing": np.zeros(1000, dtype=bool),
        "again and again": np.repeat(np.array([-1, 5, 5, 7]), 40),
    }[chosen]
    assert np.array_equal(found[rows], values[rows])
    assert np.array_equal(found[:, 1:][rows], values[:, 1:][rows])
