"""Vertices from keys: number them in the order in which points touch them, and find each one's neighbours.

A hash table of each remainder's keys does both. The numbers do not depend on its layout, and neighbouring pixels get
vertices that lie near each other in memory. The loops avoid branches that no processor could predict: whether a key
is new, and whether a neighbour exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bana.crf.compiled import FloatArray, IndexArray, compiled
from bana.crf.embedding import KeyArray, KeySpace
from bana.crf.workspace import Arrays, Workspace

_u = np.uint64
_GOLDEN = _u(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio: multiplying by it spreads keys over the high bits
_LEAST_SLOTS = 64


@dataclass(frozen=True, eq=False)
class _Table:
    """The distinct keys of one remainder.

    Attributes:
        count: How many there are.
        keys: (N+1,), the keys of numbers 1..count.
        slots: uint32 (a power of two,), a hash table of their numbers with linear probing; 0 where it is free.
        shares: float32 (N+1,), the sum of the shares of their points, by number.
    """

    count: int
    keys: KeyArray
    slots: IndexArray
    shares: FloatArray


@dataclass(frozen=True, eq=False)
class Vertices:
    """The M vertices that points touch.

    Attributes:
        bases: d+2 numbers: those of remainder k are bases[k] + 1 .. bases[k + 1].
        neighbours: uint32 (d+1, M+1, 2): the neighbours of each vertex along and against every direction; 0 for none.
        shares: float32 (M+1,): the sum of the shares that points have in each vertex; 0 for number 0.
    """

    bases: tuple[int, ...]
    neighbours: IndexArray
    shares: FloatArray


def find_vertices(
    keys: KeyArray, space: KeySpace, share: FloatArray, vertex: IndexArray, column: int, work: Workspace
) -> Vertices:
    """Number the distinct keys of every remainder and link them.

    Args:
        keys: (d+1, N), row k the keys of remainder k, as ``embed`` gives them.
        space: The space of the keys.
        share: float32 (N, D): the columns from ``column`` on are the shares of points in their vertices.
        vertex: uint32 (N, D), output: the same columns receive vertices, numbered from 1 in each: less bases[k].
        column: The first of d+1 columns.
        work: Threads and memory.
    """
    remainders = len(keys)
    with work.scratch() as scratch:
        tables = work.each(lambda k: _table(keys[k], share, vertex, column + k, scratch), range(remainders))
        bases = (0, *(int(base) for base in np.cumsum([table.count for table in tables])))
        neighbours: IndexArray = work.empty((remainders, bases[-1] + 1, 2), np.uint32)
        shares: FloatArray = work.empty(bases[-1] + 1, np.float32)
        shares[0] = 0

        def link(remainder: int) -> None:
            after = (remainder + 1) % remainders
            table, target = tables[remainder], tables[after]
            shares[bases[remainder] + 1 : bases[remainder + 1] + 1] = table.shares[1 : table.count + 1]
            for direction in range(remainders):
                step = space.wrapped(space.step(remainder, direction))
                starts = bases[remainder], bases[after]
                _link(table.keys, table.count, target.keys, target.slots, step, *starts, neighbours[direction])

        for direction in range(remainders):
            neighbours[direction, :, 1] = 0
        work.each(link, range(remainders))
        neighbours[:, 0] = 0
    return Vertices(bases, neighbours, shares)


def _table(keys: KeyArray, share: FloatArray, vertex: IndexArray, column: int, scratch: Arrays) -> _Table:
    """The table of these keys; their numbers are written into ``vertex[:, column]``."""
    known = scratch.empty(len(keys) + 1, keys.dtype)
    shares = scratch.empty(len(keys) + 1, np.float32)
    slots = scratch.zeros(max(_LEAST_SLOTS, 1 << (len(keys) // 2).bit_length()), np.uint32)
    point, count = _number(_u(0), np.uint32(0), keys, known, slots, share, shares, vertex, column)
    while point < len(keys):
        slots = scratch.zeros(4 * len(slots), np.uint32)
        _insert(known, count, slots)
        point, count = _number(point, count, keys, known, slots, share, shares, vertex, column)
    return _Table(int(count), known, slots, shares)


@compiled
def _number(
    point: np.uint64,
    count: np.uint32,
    keys: KeyArray,
    known: KeyArray,
    slots: IndexArray,
    share: FloatArray,
    shares: FloatArray,
    vertex: IndexArray,
    column: int,
) -> tuple[np.uint64, np.uint32]:
    """Number the keys from ``point`` on, until half of the slots are taken; the next point, and the count."""
    capacity, shift, total = _u(len(slots)), _shift(len(slots)), np.uint32(count)
    for p in range(_u(point), _u(len(keys))):
        if _u(2) * _u(total) >= capacity:
            return p, total
        key = keys[p]
        slot = (_u(key) * _GOLDEN) >> shift
        found = slots[slot]
        while (found != 0) & (known[found] != key):
            slot = (slot + _u(1)) & (capacity - _u(1))
            found = slots[slot]
        if not found:
            total += np.uint32(1)
            found = total
            known[found] = key
            slots[slot] = found
            shares[found] = 0
        shares[found] += share[p, _u(column)]
        vertex[p, _u(column)] = found
    return _u(len(keys)), total


@compiled
def _insert(known: KeyArray, count: int, slots: IndexArray) -> None:
    """Fill empty slots with the numbers 1..count of known keys."""
    capacity, shift = _u(len(slots)), _shift(len(slots))
    for number in range(_u(1), _u(count) + _u(1)):
        slot = (_u(known[number]) * _GOLDEN) >> shift
        while slots[slot]:
            slot = (slot + _u(1)) & (capacity - _u(1))
        slots[slot] = number


@compiled
def _shift(capacity: int) -> np.uint64:
    """How far a product of 64 bits is shifted to leave a number below ``capacity``, a power of two."""
    shift = _u(64)
    while _u(1) << (_u(64) - shift) < _u(capacity):
        shift -= _u(1)
    return shift


@compiled
def _link(
    keys: KeyArray,
    count: int,
    target_keys: KeyArray,
    slots: IndexArray,
    step: np.unsignedinteger[Any],
    base: int,
    target_base: int,
    neighbours: IndexArray,
) -> None:
    """Link vertex base + 1, base + 2, ... with those of the target table whose keys are greater by ``step``."""
    key_type = keys.dtype.type
    capacity, shift = _u(len(slots)), _shift(len(slots))
    for number in range(_u(1), _u(count) + _u(1)):
        key = key_type(keys[number] + step)
        slot = (_u(key) * _GOLDEN) >> shift
        found = slots[slot]
        while (found != 0) & (target_keys[found] != key):
            slot = (slot + _u(1)) & (capacity - _u(1))
            found = slots[slot]
        ahead = _u(found + np.uint32(target_base)) * _u(found != 0)
        neighbours[number + _u(base), _u(0)] = np.uint32(ahead)
        neighbours[ahead, _u(1)] = np.uint32(number + _u(base))  # row 0 is nobody's and is cleared afterwards
