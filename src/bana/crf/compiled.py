"""What the CRF's compiled loops share: how they are compiled, and how they are spread over threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

import numba
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.uint32]

ROUND_TO_EVEN = np.float32(1.5 * 2**23)
"""Adding and subtracting it rounds a float32 below 2^22 to the nearest integer, ties to even."""

Function = TypeVar("Function", bound=Callable[..., Any])
Item = TypeVar("Item")
Result = TypeVar("Result")


def compiled(function: Function) -> Function:
    """Compile ``function`` with numba when it is first called, releasing the GIL while it runs.

    Arithmetic is strict: without fastmath nothing is reordered or fused. Machine code is kept on disk, beside the
    package or in the user's cache folder; where neither can be written, every process compiles for itself.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        result: Function = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba's "no locator available": no folder for the cache can be written
        result = numba.njit(**options)(function)
    return result


def default_thread_count() -> int:
    """The environment variable NUMBA_NUM_THREADS, or else the cores that this process may use."""
    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]  # numba makes it at run time


class Threads:
    """A pool of threads for compiled kernels, alive inside a ``with`` block.

    Kernels are plain serial functions over a range, so that calls from several threads or forked processes never meet
    in a shared scheduler (numba's own aborts the process there). No kernel's result depends on how the range is split.

    Args:
        count: Number of threads; with 1 everything runs in the calling thread.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="bana-crf") if count > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def over_range(self, size: int, kernel: Callable[..., Any], *arguments: Any) -> None:
        """Call ``kernel(begin, end, *arguments)`` so that the ranges cover ``0..size``."""
        bounds = [size * part // self._count for part in range(self._count + 1)]
        self.each(lambda part: kernel(bounds[part], bounds[part + 1], *arguments), range(self._count))

    def each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Call ``function`` with every item; the results in the order of the items."""
        return [function(item) for item in items] if self._pool is None else list(self._pool.map(function, items))
