"""The machine: memory allocator, threads, devices, peak memory."""

from cutpoint.runtime.allocator import tune_allocator
from cutpoint.runtime.device import choose_device, set_threads
from cutpoint.runtime.memory import PeakMemory

__all__ = ["PeakMemory", "choose_device", "set_threads", "tune_allocator"]
