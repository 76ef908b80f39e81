"""The cache of arrays: what it trusts, what it throws away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cutpoint.features.store import ActivationCache, default_cache_folder

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


def _parts(values: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """In two parts, the last rows first."""
    rows = np.arange(len(values))
    return [(rows[1:], values[1:]), (rows[:1], values[:1])]


def store(cache: ActivationCache, name: str = "a", values: np.ndarray = VALUES) -> np.ndarray:
    return cache.write({"what": name}, values.shape, values.dtype, _parts(values))


def values_file(folder: Path) -> Path:
    (path,) = folder.glob("*.npy")
    return path


def test_reads_what_was_written_and_nothing_else(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path)
    assert cache.read({"what": "a"}) is None
    written = store(cache)
    assert np.array_equal(written, VALUES) and not written.flags.writeable
    found = ActivationCache(tmp_path).read({"what": "a"})
    assert found is not None and np.array_equal(found, VALUES) and isinstance(found, np.memmap)
    assert cache.read({"what": "a", "more": 1}) is None


def test_damaged_bytes_truncated_values_and_foreign_descriptions_are_not_trusted(tmp_path: Path) -> None:
    store(ActivationCache(tmp_path))
    path = values_file(tmp_path)
    sound, facts = path.read_bytes(), path.with_suffix(".json").read_text()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    assert ActivationCache(tmp_path).read({"what": "a"}) is None
    path.write_bytes(sound[:-4])
    assert ActivationCache(tmp_path).read({"what": "a"}) is None
    path.write_bytes(sound)
    foreign = {**json.loads(facts), "description": {"what": "b"}}
    path.with_suffix(".json").write_text(json.dumps(foreign))
    assert ActivationCache(tmp_path).read({"what": "a"}) is None
    path.with_suffix(".json").write_text("{")
    assert ActivationCache(tmp_path).read({"what": "a"}) is None
    path.with_suffix(".json").write_text(facts)
    assert ActivationCache(tmp_path).read({"what": "a"}) is not None
    path.with_suffix(".json").unlink()
    assert ActivationCache(tmp_path).read({"what": "a"}) is None


def test_interrupted_writer_leaves_no_entry(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path)

    def parts() -> object:
        yield _parts(VALUES)[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.write({"what": "a"}, VALUES.shape, VALUES.dtype, parts())
    assert cache.read({"what": "a"}) is None and list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="2 rows arrived"):
        cache.write({"what": "a"}, VALUES.shape, VALUES.dtype, _parts(VALUES[:2]))
    assert cache.read({"what": "a"}) is None


def test_leavings_of_killed_writers_are_swept(tmp_path: Path) -> None:
    old, young = tmp_path / "x.1.partial.npy", tmp_path / "y.2.partial.npy"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    store(ActivationCache(tmp_path))
    assert not old.exists() and young.exists()


def test_oldest_used_entries_make_room(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path, limit=500)
    for age, name in ((30, "a"), (20, "b")):
        store(cache, name)
        facts = next(
            p for p in tmp_path.glob("*.json") if json.loads(p.read_text())["description"]["what"] == name
        )
        os.utime(facts, (time.time() - age,) * 2)
    cache.read({"what": "a"})  # used again: b is now the oldest
    store(cache, "c", np.zeros((4, 12), dtype=np.float32))
    assert cache.read({"what": "b"}) is None
    assert cache.read({"what": "a"}) is not None and cache.read({"what": "c"}) is not None
    assert cache.fits(500) and not cache.fits(501)


def test_another_process_reads_the_same(tmp_path: Path) -> None:
    store(ActivationCache(tmp_path))
    code = (
        "import sys; from pathlib import Path; from cutpoint.features.store import ActivationCache; "
        "print(ActivationCache(Path(sys.argv[1])).read({'what': 'a'}).tolist())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == VALUES.tolist()


def test_folder_by_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUTPOINT_CACHE", str(tmp_path))
    assert ActivationCache().folder == tmp_path == default_cache_folder()
    monkeypatch.delenv("CUTPOINT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_folder() == tmp_path / "cutpoint"
