"""The machine: memory allocator, threads, devices, peak and free memory, versions of libraries."""

from cutpoint.runtime.allocator import tune_allocator
from cutpoint.runtime.cache_folder import default_cache_folder
from cutpoint.runtime.device import (
    choose_device,
    free_memory,
    in_parts,
    is_mixed_precision,
    is_out_of_memory,
    mixed_precision,
    one_thread,
    set_threads,
    wait_for,
)
from cutpoint.runtime.memory import PeakMemory, available_memory, hand_back_much
from cutpoint.runtime.versions import installed_versions

__all__ = [
    "PeakMemory",
    "available_memory",
    "choose_device",
    "default_cache_folder",
    "free_memory",
    "hand_back_much",
    "in_parts",
    "installed_versions",
    "is_mixed_precision",
    "is_out_of_memory",
    "mixed_precision",
    "one_thread",
    "set_threads",
    "tune_allocator",
    "wait_for",
]
