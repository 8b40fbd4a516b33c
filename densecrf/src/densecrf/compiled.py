"""What the CRF's compiled loops share: how they are compiled."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numba.core.event
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.uint32]

ROUND_TO_EVEN = np.float32(1.5 * 2**23)
"""Adding and subtracting it rounds a float32 below 2^22 to the nearest integer, ties to even."""

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile ``function`` with numba when it is first called, releasing the GIL while it runs.

    Arithmetic is strict: without fastmath nothing is reordered or fused. Machine code is kept on disk, beside the
    package or in the user's cache folder; where neither can be written, every process compiles for itself.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    try:
        result: Function = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba's "no locator available": no folder for the cache can be written
        result = numba.njit(**options)(function)
    return result


class _Announcement(numba.core.event.Listener):
    """Says, once in a process, that a kernel of this package is being compiled, which takes some seconds."""

    def __init__(self) -> None:
        self._said = False

    def on_start(self, event: Any) -> None:
        if not self._said and event.data["dispatcher"].py_func.__module__.startswith("densecrf."):
            self._said = True
            logging.getLogger("densecrf").warning("densecrf: compiling for this machine, which takes some 5 s, once")

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


_register: Any = numba.core.event.register
_register("numba:compile", _Announcement())
