"""Memory: the peak of a stretch of work, and what is free."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import resource
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Self

import torch

_STATUS = Path("/proc/self/status")
_PAGES = Path("/proc/self/statm")
_EVERY_SECONDS = 0.01
_MUCH = 16 << 20
_CLEAR = Path("/proc/self/clear_refs")
_MACHINE = Path("/proc/meminfo")
_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


class PeakMemory:
    """What the work inside the `with` block added to this process's own memory at its peak, in bytes.

    Memory that was freed before is first handed back to the system: a tuned allocator would let the work take it
    again unseen. On Linux the kernel's high-water mark is reset on entry; elsewhere only what rises above the highest
    mark so far is seen.

    Pages of files that are mapped (cached activations, libraries) are left out where the system counts them apart:
    the kernel takes them back when memory is asked for, and counts them as free (`available_memory`).
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._before = 0
        self._files = _FilePages()

    def __enter__(self) -> Self:
        hand_back()
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")  # resets VmHWM
        self._files.start()
        self._before = _high_water_mark() - self._files.at_peak
        return self

    def __exit__(self, *_: object) -> None:
        self._files.stop()
        self.bytes = max(0, _high_water_mark() - self._files.at_peak - self._before)


class _FilePages:
    """How much of the process's resident memory is pages of files, at its peak.

    The kernel keeps a high-water mark of the whole alone. The height of the peak is read from that; how much of it was
    files, which come and go batch by batch, is read a hundred times a second.

    Attributes:
        at_peak: Bytes; 0 where the system does not tell.
    """

    def __init__(self) -> None:
        self.at_peak = 0
        self._highest = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="file pages", daemon=True)

    def start(self) -> None:
        self._look()
        if _PAGES.exists():
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stopped.wait(_EVERY_SECONDS):
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(OSError):
            resident, of_files = _held()
            if resident >= self._highest:
                self._highest, self.at_peak = resident, of_files


def hand_back() -> None:
    """Return memory that nothing uses to the system, where the C library can."""
    gc.collect()
    _trim()


class _Growth:
    """How much more of its own the process holds than when it last handed back what it did not use.

    A tuned allocator keeps whatever is freed, and blocks of many sizes leave holes that the next ones do not fit: a
    process that goes on for long would come to hold several times what it uses.
    """

    def __init__(self) -> None:
        self._least = 0

    def check(self) -> None:
        """Hand back where it has grown by much. What was freed lately is then paid for again, page by page."""
        if not _PAGES.exists():
            return
        held = _own()
        if held > self._least + _MUCH:
            _trim()
            self._least = _own()
        else:
            self._least = min(self._least, held)


_growth = _Growth()


def hand_back_much() -> None:
    """As `hand_back` between two pieces of work, where a look says that it is worth its time (microseconds if not)."""
    _growth.check()


@cache
def _c_library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def _trim() -> None:
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)


def _own() -> int:
    """Resident bytes that are not of files."""
    resident, of_files = _held()
    return resident - of_files


def _held() -> tuple[int, int]:
    """Resident bytes, and how many of them are of files."""
    resident, of_files = (int(pages) * resource.getpagesize() for pages in _PAGES.read_text().split()[1:3])
    return resident, of_files


def _high_water_mark() -> int:
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def available_memory(device: torch.device) -> int:
    """Bytes that this process can still take on a device.

    On a GPU what is free there, with what torch holds unused; elsewhere the machine's memory, or what the control
    group of a container leaves of it where that is less. Where the system does not say what is free, it is all
    that is built in.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    return min([_machine_memory(), *_group_memory()])


def _machine_memory() -> int:
    if _MACHINE.exists():
        return 1024 * _number_after(_MACHINE.read_text(), "MemAvailable:")
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _group_memory() -> Iterator[int]:
    """What each control group around this process leaves, under version 2 or 1 of the kernel's interface.

    File pages that were not used lately give way when memory is asked for, so they count as free.
    """
    for folder, (most, used, idle) in _own_groups():
        with contextlib.suppress(OSError, ValueError):  # a group without a limit has no file, or says "max"
            limit = int((folder / most).read_text())
            taken = int((folder / used).read_text()) - _number_after(
                (folder / "memory.stat").read_text(), idle
            )
            yield max(0, limit - taken)


def _own_groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Folder and names of files of each control group, the innermost first."""
    lines = _OWN_GROUPS.read_text().splitlines() if _OWN_GROUPS.exists() else []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, files = _GROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = _GROUPS / "memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                yield folder, files


def _number_after(text: str, name: str) -> int:
    """The number in the line that begins with a name (ValueError where there is none)."""
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == name:
            return int(words[1])
    raise ValueError(name)
