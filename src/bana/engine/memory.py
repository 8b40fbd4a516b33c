"""Memory: keeping freed memory at hand, its peak use, and its size."""

from __future__ import annotations

import ctypes
import gc
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1
_GIBIBYTE = 2**30


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next allocation instead of returning it to the system.

    A step of training on a CPU frees and allocates the same hundreds of megabytes again; fetching every page anew from
    the system takes a third of the time. Other C libraries are left as they are.
    """
    mallopt = _function_of_c("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _GIBIBYTE)
        mallopt(_M_TRIM_THRESHOLD, _LARGEST)


def return_freed_memory() -> None:
    """Return freed memory that was kept at hand to the system, where the C library can: after a training.

    Otherwise a process that goes on to label or score holds gigabytes that its workers need.
    """
    gc.collect()
    malloc_trim = _function_of_c("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _function_of_c(name: str) -> Any:
    """A function of the C library; None where it has no such function."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None


def available_memory(root: Path = Path("/")) -> int | None:
    """The bytes of memory that processes may take besides what is in use; None where the system does not say.

    Linux says what is free, and what is left of the limit of a container.

    Args:
        root: The folder that the system's files are read from.
    """
    group, old_group = root / "sys/fs/cgroup", root / "sys/fs/cgroup/memory"
    found = [
        _field(root / "proc/meminfo", "MemAvailable:"),
        _left(group / "memory.max", group / "memory.current", group / "memory.stat"),
        _left(old_group / "memory.limit_in_bytes", old_group / "memory.usage_in_bytes", old_group / "memory.stat"),
    ]
    return min((each for each in found if each is not None), default=None)


def _field(file: Path, name: str, unit: int = 1024) -> int | None:
    """The bytes of a line such as ``MemAvailable: 12 kB``."""
    try:
        words = (line.split() for line in file.read_text().splitlines())
        return unit * int(next(word[1] for word in words if word[0] == name))
    except (OSError, StopIteration):
        return None


def _left(limit: Path, used: Path, kinds: Path) -> int | None:
    """The bytes that a control group has left; None if it has no limit. Pages of files are given back when needed."""
    try:
        most, in_use = int(limit.read_text()), int(used.read_text())
    except (OSError, ValueError):  # "max" where there is no limit
        return None
    return max(most - in_use + (_field(kinds, "inactive_file", unit=1) or 0), 0)


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
    peak = _field(Path("/proc/self/status"), "VmHWM:")
    return _peak_by_posix() if peak is None else peak


def _peak_by_posix() -> int:
    try:
        resource = import_module("resource")
    except ImportError:  # Windows
        return 0
    largest = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return largest if sys.platform == "darwin" else 1024 * largest
