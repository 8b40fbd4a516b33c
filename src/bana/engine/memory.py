"""Keeping freed memory at hand, and how much is in use at most."""

from __future__ import annotations

import ctypes
import sys
from importlib import import_module
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1
_GIBIBYTE = 2**30


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next allocation instead of returning it to the system.

    A step of training on a CPU frees and allocates the same hundreds of megabytes again; fetching every page anew from
    the system takes a third of the time. Other C libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _GIBIBYTE)
    mallopt(_M_TRIM_THRESHOLD, _LARGEST)


def reset_peak() -> None:
    """Let ``peak_memory`` begin anew from what is in use now, where the system can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory() -> int:
    """The most memory, in bytes, that this process has had resident since it began, or since ``reset_peak``.

    0 where the system does not say.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    except (OSError, StopIteration):
        return _peak_by_posix()


def _peak_by_posix() -> int:
    try:
        resource = import_module("resource")
    except ImportError:  # Windows
        return 0
    largest = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return largest if sys.platform == "darwin" else 1024 * largest
