"""Threads and memory of one call of the CRF."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from densecrf.barrier import abandon, barrier_state

Item = TypeVar("Item")
Result = TypeVar("Result")

_ByteArray = npt.NDArray[np.uint8]

_KEPT_BYTES = 2**28
"""Memory that is kept between calls, at most."""

_ALIGNMENT = 64

_free: dict[int, list[_ByteArray]] = {}  # by size; only single operations of list and dict, which need no lock


def default_thread_count() -> int:
    """The environment variable NUMBA_NUM_THREADS, or else the cores that this process may use."""
    return int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]  # numba makes it at run time


class Arrays:
    """Arrays that go to later calls when they are released, as at the end of a ``with`` block.

    Fetching fresh pages from the system would take a fifth of the time of a call.
    """

    def __init__(self) -> None:
        self._taken: list[_ByteArray] = []

    def __enter__(self) -> Arrays:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def release(self) -> None:
        """End the life of all arrays; what is never released may be used for ever."""
        kept = sum(size * len(blocks) for size, blocks in list(_free.items()))
        for block in self._taken:
            kept += block.nbytes
            if kept <= _KEPT_BYTES:
                _free.setdefault(block.nbytes, []).append(block)
        self._taken.clear()

    def empty(self, shape: int | Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array with any content, aligned to cache lines."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        count = math.prod(shape) * np.dtype(dtype).itemsize
        block = self._block(count + _ALIGNMENT)
        start = -block.ctypes.data % _ALIGNMENT
        return block[start : start + count].view(dtype).reshape(shape)

    def zeros(self, shape: int | Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array of zeros, aligned to cache lines."""
        array = self.empty(shape, dtype)
        array.fill(0)
        return array

    def _block(self, least: int) -> _ByteArray:
        step = 1 << max(12, least.bit_length() - 3)  # few different sizes, none much too great
        size = -(-least // step) * step
        try:
            block = _free[size].pop()
        except (KeyError, IndexError):
            block = np.empty(size, dtype=np.uint8)
        self._taken.append(block)
        return block


class Workspace:
    """The arrays of a call, and a pool of threads for compiled kernels, inside a ``with`` block.

    Kernels are plain serial functions over a range, so that calls from several threads or forked processes never meet
    in a shared scheduler (numba's own aborts the process there). No kernel's result depends on how the range is split.

    Args:
        threads: Number of threads; with 1 everything runs in the calling thread.
        arrays: Where the arrays of the call are made. Without it, they end with the block.
    """

    def __init__(self, threads: int, arrays: Arrays | None = None) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="densecrf") if threads > 1 else None
        self._own = Arrays()
        self.arrays = arrays or self._own
        self.empty, self.zeros = self.arrays.empty, self.arrays.zeros

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        self._own.release()

    def scratch(self) -> Arrays:
        """Arrays for a block that is within this one."""
        return Arrays()

    def over_range(self, size: int, kernel: Callable[..., Result], *arguments: Any) -> list[Result]:
        """Call ``kernel(begin, end, *arguments)`` so that the ranges cover ``0..size``; what it returned."""
        bounds = [size * part // self.threads for part in range(self.threads + 1)]
        return self.each(lambda part: kernel(bounds[part], bounds[part + 1], *arguments), range(self.threads))

    def each(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Call ``function`` with every item; the results in the order of the items."""
        results: dict[int, Result] = {}
        turns = itertools.count()  # the next item that nobody has begun

        def work() -> None:
            while (turn := next(turns)) < len(items):
                results[turn] = function(items[turn])

        self._share(work, min(self.threads, len(items)))
        return [results[turn] for turn in range(len(items))]

    def together(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Call ``kernel(thread, threads, barrier, *arguments)`` in all threads at once; ``wait`` lets them meet."""
        barrier = barrier_state()
        thread = itertools.count()
        try:
            self._share(lambda: kernel(next(thread), self.threads, barrier, *arguments), self.threads)
        except BaseException:
            abandon(barrier)
            raise

    def _share(self, work: Callable[[], None], threads: int) -> None:
        """Call ``work`` in so many threads, of which this is one."""
        others = [self._pool.submit(work) for _ in range(threads - 1)] if self._pool else []
        work()
        for other in others:
            other.result()
