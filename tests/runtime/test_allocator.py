"""The allocator is tuned where that was shown to help, and the answer is kept."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from cutpoint.runtime import allocator, allocator_check

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")


@pytest.fixture(autouse=True)
def applied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bool]:
    """Counts where the settings would have been made; the cache folder is empty."""
    made: list[bool] = []

    def apply() -> bool:
        made.append(True)
        return True

    monkeypatch.setattr(allocator_check, "apply_settings", apply)
    monkeypatch.setenv("CUTPOINT_CACHE", str(tmp_path))
    monkeypatch.delenv("CUTPOINT_ALLOCATOR", raising=False)
    return made


def _asked(monkeypatch: pytest.MonkeyPatch, gain: float) -> list[int]:
    calls: list[int] = []

    def measured() -> float:
        calls.append(1)
        return gain

    monkeypatch.setattr(allocator, "_measured_gain", measured)
    return calls


@pytest.mark.parametrize(("gain", "helps"), [(3.0, True), (1.0, False)])
def test_the_check_decides_and_runs_once_a_machine(
    gain: float, helps: bool, monkeypatch: pytest.MonkeyPatch, applied: list[bool]
) -> None:
    calls = _asked(monkeypatch, gain)
    for _ in range(2):
        allocator.tune_allocator.cache_clear()
        assert allocator.tune_allocator() is helps
    assert len(calls) == 1 and len(applied) == (2 if helps else 0)


@pytest.mark.parametrize("fault", ["another machine", "damaged", "cannot run"])
def test_an_answer_that_cannot_be_used_is_asked_for_again(
    fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = _asked(monkeypatch, 0.0 if fault == "cannot run" else 3.0)
    allocator.tune_allocator.cache_clear()
    allocator.tune_allocator()
    file = tmp_path / "machine" / "allocator.json"
    if fault == "another machine":
        file.write_text(json.dumps({**json.loads(file.read_text()), "machine": "elsewhere"}))
    if fault == "damaged":
        file.write_text("{")
    assert file.exists() != (fault == "cannot run")
    allocator.tune_allocator.cache_clear()
    assert allocator.tune_allocator() is (fault != "cannot run")
    assert len(calls) == 2


@pytest.mark.parametrize(("word", "helps"), [("on", True), ("off", False)])
def test_the_user_decides_without_a_check(
    word: str, helps: bool, monkeypatch: pytest.MonkeyPatch, applied: list[bool]
) -> None:
    calls = _asked(monkeypatch, 0.0)
    monkeypatch.setenv("CUTPOINT_ALLOCATOR", word)
    allocator.tune_allocator.cache_clear()
    assert allocator.tune_allocator() is helps
    assert not calls and bool(applied) is helps


def test_the_check_runs_in_a_process_of_its_own_and_gives_a_ratio() -> None:
    assert allocator._measured_gain() > 0.1


@pytest.fixture(autouse=True)
def forget() -> object:
    """Other tests ask for themselves."""
    yield
    allocator.tune_allocator.cache_clear()
