"""A barrier for threads that run compiled code together: passing it takes less than a microsecond.

Python's own would cost a tenth of a millisecond, which is as long as what happens between two of them.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import llvmlite.binding
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from densecrf.compiled import compiled

intrinsic: Any = extending.intrinsic
_insert_function: Any = cgutils.get_or_insert_function

State = npt.NDArray[np.int64]

_ARRIVED, _ROUND, _ABANDONED = 0, 8, 16  # a cache line apart
_SPINS = 4000  # some microseconds; then the core is offered to others, who may be those that are waited for

_YIELD = "densecrf_yield"
_library: Any = ctypes.CDLL("kernel32" if sys.platform == "win32" else None)
_function = _library.SwitchToThread if sys.platform == "win32" else _library.sched_yield
llvmlite.binding.add_symbol(_YIELD, ctypes.cast(_function, ctypes.c_void_p).value)


def barrier_state() -> State:
    """A barrier that nobody waits at."""
    return np.zeros(24, dtype=np.int64)


def abandon(state: State) -> None:
    """Let everybody pass from now on: some thread will never come."""
    state[_ABANDONED] = 1


@compiled
def wait(state: State, threads: int) -> None:
    """Return when so many threads have called it."""
    if threads == 1:
        return
    this_round = _read(state, _ROUND)
    if _add(state, _ARRIVED, 1) == threads - 1:
        _write(state, _ARRIVED, 0)
        _write(state, _ROUND, this_round + 1)
        return
    spins = 0
    while _read(state, _ROUND) == this_round and not _read(state, _ABANDONED):
        spins += 1
        if spins > _SPINS:
            _yield_core()


def _item(context: Any, builder: Any, signature: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(signature.args[0])(context, builder, array).data, [index])


@intrinsic
def _read(typing: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_item(context, builder, signature, *arguments), "seq_cst", 8)

    return types.int64(array, types.int64), generate


@intrinsic
def _write(typing: Any, array: Any, index: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, value = arguments
        builder.store_atomic(value, _item(context, builder, signature, array, index), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@intrinsic
def _add(typing: Any, array: Any, index: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, value = arguments
        return builder.atomic_rmw("add", _item(context, builder, signature, array, index), value, "seq_cst")

    return types.int64(array, types.int64, types.int64), generate


@intrinsic
def _yield_core(typing: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(_insert_function(builder.module, kind, _YIELD), [])
        return context.get_dummy_value()

    return types.void(), generate
