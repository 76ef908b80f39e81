"""Whether keeping freed memory saves time on this machine: a program of its own, since settings cannot be taken back.

It allocates, fills and frees blocks of the sizes of activations, first as the allocator comes and then with the
settings, and prints how many times as long the first takes. It imports nothing that takes time to import.
"""

from __future__ import annotations

import ctypes
import time

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER = -1
"""A threshold of a gigabyte would give the activations of every training step back to the kernel."""
_GROW_BYTES = 256 << 20

# More than 32 MiB is always asked of the kernel; less, glibc learns to keep for a while.
_BLOCKS = (40 << 20, 8 << 20)
_ROUNDS = 4


def apply_settings() -> bool:
    """Make glibc keep what is freed, for the rest of the process; False where it refuses."""
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _GROW_BYTES))
    return all(mallopt(name, value) == 1 for name, value in settings)


def gain() -> float:
    """Processor time of a round as it comes, over that with the settings; the best round of each."""
    before = min(_round() for _ in range(_ROUNDS))
    apply_settings()
    after = min(_round() for _ in range(_ROUNDS))  # the first of them makes the heap grow
    return before / max(after, 1e-9)


def _round() -> float:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    started = time.process_time()
    for size in _BLOCKS:
        block = ctypes.c_void_p(library.malloc(ctypes.c_size_t(size)))
        library.memset(block, 1, ctypes.c_size_t(size))
        library.free(block)
    return time.process_time() - started


if __name__ == "__main__":
    print(gain())
