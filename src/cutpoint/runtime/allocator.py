"""Keep freed activations in the process instead of faulting them in again.

glibc returns every large block to the kernel when it is freed and has the kernel zero it again at the next
allocation. A network's forward pass does that with every activation; on virtual machines it can cost more than
the arithmetic. Three settings stop it, at the price of some memory that stays with the process.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_KEEP_BYTES = 1 << 30
_GROW_BYTES = 256 << 20


@cache
def tune_allocator() -> bool:
    """Apply the settings once a process; True where they took effect.

    Nothing happens where the C library is not glibc, or where CUTPOINT_ALLOCATOR=off.
    """
    if os.environ.get("CUTPOINT_ALLOCATOR", "on") == "off" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _KEEP_BYTES), (_M_TOP_PAD, _GROW_BYTES))
    return all(mallopt(name, value) == 1 for name, value in settings)
