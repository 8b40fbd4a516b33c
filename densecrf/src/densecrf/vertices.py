"""Vertices from keys: number them in the order in which points touch them, and find each one's neighbors.

A hash table of each remainder's keys does both. The numbers do not depend on its layout, and neighboring pixels get
vertices that lie near each other in memory. Whether a neighbor exists is no branch, as no processor could predict it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from densecrf.compiled import FloatArray, IndexArray, compiled
from densecrf.embedding import KeyArray, KeySpace
from densecrf.workspace import Arrays, Workspace

_u = np.uint64
_GOLDEN = _u(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio: multiplying by it spreads keys over the high bits
_MIN_SLOTS = 64


@dataclass(frozen=True, eq=False)
class _Table:
    """The distinct keys of one remainder.

    Attributes:
        count: How many there are.
        keys: (N+1,), the keys of numbers 1..count.
        slots: uint32 (a power of two,), a hash table of their numbers with linear probing; 0 where it is free.
        sums: float32 (N+1,), the sum of the shares of their points, by number.
    """

    count: int
    keys: KeyArray
    slots: IndexArray
    sums: FloatArray


@dataclass(frozen=True, eq=False)
class Vertices:
    """The M vertices that points touch.

    Attributes:
        bases: uint32 (d+1,): what is added to a number within remainder k, from 1 on, to make it one of 1..M.
        neighbors: uint32 (d+1, M+1, 2): the neighbors of each vertex along and against every direction; 0 for none.
        sums: float32 (M+1,): the sum of the shares that points have in each vertex; 0 for number 0.
    """

    bases: IndexArray
    neighbors: IndexArray
    sums: FloatArray


def find_vertices(
    keys: KeyArray, shares: FloatArray, space: KeySpace, room: int, work: Workspace, arrays: Arrays
) -> Vertices:
    """Number the distinct keys of every remainder and link them.

    Args:
        keys: (d+1, N), row k the keys of remainder k, as ``embed`` gives them; replaced by their numbers.
        shares: float32 (d+1, N), of points in these vertices.
        space: The space of the keys.
        room: How many rows of zeros follow the neighbors.
        work: Threads and memory.
        arrays: Where the results are made.
    """
    remainders = len(keys)
    with work.scratch() as scratch:
        tables = work.each(lambda k: _table(keys[k], shares[k], scratch), range(remainders))
        bases = [0, *(int(base) for base in np.cumsum([table.count for table in tables]))]
        neighbors: IndexArray = arrays.empty((remainders, bases[-1] + 1 + room, 2), np.uint32)
        sums: FloatArray = arrays.empty(bases[-1] + 1, np.float32)
        sums[0] = 0

        def link(remainder: int) -> None:
            after = (remainder + 1) % remainders
            table, target = tables[remainder], tables[after]
            sums[bases[remainder] + 1 : bases[remainder + 1] + 1] = table.sums[1 : table.count + 1]
            for direction in range(remainders):
                step = space.wrapped(space.step(remainder, direction))
                starts = bases[remainder], bases[after]
                _link(table.keys, table.count, target.keys, target.slots, step, *starts, neighbors[direction])

        work.each(lambda direction: neighbors[direction].fill(0), range(remainders))
        work.each(link, range(remainders))
        neighbors[:, 0] = 0
    return Vertices(np.array(bases[:-1], dtype=np.uint32), neighbors, sums)


def _table(keys: KeyArray, shares: FloatArray, scratch: Arrays) -> _Table:
    """The table of these keys, which are replaced by their numbers."""
    known = scratch.empty(len(keys) + 1, keys.dtype)
    sums = scratch.empty(len(keys) + 1, np.float32)
    slots = scratch.zeros(max(_MIN_SLOTS, 1 << (len(keys) // 2).bit_length()), np.uint32)
    point, count = _number(0, 0, keys, shares, known, sums, slots)
    while point < len(keys):
        slots = scratch.zeros(4 * len(slots), np.uint32)
        _insert(known, count, slots)
        point, count = _number(point, count, keys, shares, known, sums, slots)
    return _Table(count, known, slots, sums)


@compiled
def _number(
    point: int,
    count: int,
    keys: KeyArray,
    shares: FloatArray,
    known: KeyArray,
    sums: FloatArray,
    slots: IndexArray,
) -> tuple[int, int]:
    """Number the keys from ``point`` on, until half of the slots are taken; the next point, and the count."""
    capacity, shift, total = _u(len(slots)), _shift(len(slots)), np.uint32(count)
    for p in range(_u(point), _u(len(keys))):
        if _u(2) * _u(total) >= capacity:
            return int(p), int(total)
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
            sums[found] = 0
        sums[found] += shares[p]
        keys[p] = found
    return len(keys), int(total)


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
    neighbors: IndexArray,
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
        neighbors[number + _u(base), _u(0)] = np.uint32(ahead)
        neighbors[ahead, _u(1)] = np.uint32(number + _u(base))  # row 0 is nobody's and is cleared afterwards
