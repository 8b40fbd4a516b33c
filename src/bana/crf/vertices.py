"""Vertices from keys: sort them, number them, and find each one's neighbours by merging."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bana.crf.compiled import IndexArray, Threads, compiled
from bana.crf.embedding import KeyArray, KeySpace

_DIGIT_BITS = 11


@dataclass(frozen=True, eq=False)
class Vertices:
    """The M vertices that N points touch, ordered by remainder and key.

    Attributes:
        of_point: uint32 (N, d+1): vertex of each remainder around a point.
        point: uint32 (N * (d+1),): the points of vertex 0, of vertex 1, ..., each in ascending order.
        start: uint32 (M+1,): ``point[start[v]:start[v + 1]]`` are the points of vertex v.
        forward: uint32 (d+1, M): neighbour of a vertex along each direction; M where there is none.
        backward: uint32 (d+1, M): the same, against the direction.
    """

    of_point: IndexArray
    point: IndexArray
    start: IndexArray
    forward: IndexArray
    backward: IndexArray

    @property
    def count(self) -> int:
        """M, the number of vertices."""
        return len(self.start) - 1


def find_vertices(keys: KeyArray, space: KeySpace, threads: Threads) -> Vertices:
    """Number the distinct keys of every remainder and link them.

    Args:
        keys: (d+1, N), row k the keys of remainder k, as ``embed`` gives them; overwritten.
        space: The space of the keys.
        threads: Who works.
    """
    remainders, points = keys.shape
    of_point = np.empty((points, remainders), dtype=np.uint32)
    point = np.empty((remainders, points), dtype=np.uint32)
    starts = np.empty((remainders, points), dtype=np.uint32)

    def number(remainder: int) -> int:
        _sort(keys[remainder], point[remainder], (space.size - 1).bit_length())
        column = of_point[:, remainder]
        return int(_number(keys[remainder], point[remainder], starts[remainder], column))

    counts = threads.each(number, range(remainders))
    bases = np.concatenate([[0], np.cumsum(counts)])
    start = np.empty(bases[-1] + 1, dtype=np.uint32)
    for k, (base, count) in enumerate(zip(bases, counts, strict=False)):
        np.add(starts[k, :count], k * points, out=start[base : base + count], casting="unsafe")
    start[-1] = remainders * points
    of_point += bases[:-1].astype(np.uint32)

    forward = np.empty((remainders, bases[-1]), dtype=np.uint32)
    backward = np.empty_like(forward)

    def link(task: tuple[int, int]) -> None:
        k, direction = task
        after = (k + 1) % remainders
        _link(
            keys[k, : counts[k]],
            keys[after, : counts[after]],
            space.step(k, direction),
            int(bases[k]),
            int(bases[after]),
            forward[direction],
            backward[direction],
        )

    threads.each(link, [(k, direction) for k in range(remainders) for direction in range(remainders)])
    return Vertices(of_point, point.reshape(-1), start, forward, backward)


@compiled
def _sort(keys: KeyArray, order: IndexArray, bits: int) -> None:
    """Sort ``keys`` in place, stably, by radix; ``order`` receives where each one was."""
    count = len(keys)
    for i in range(count):
        order[i] = i
    other_keys, other_order = np.empty_like(keys), np.empty_like(order)
    from_keys, from_order, to_keys, to_order = keys, order, other_keys, other_order
    place = np.empty(1 << _DIGIT_BITS, dtype=np.uint32)
    mask = keys.dtype.type((1 << _DIGIT_BITS) - 1)
    passes = 0
    for shift in range(0, bits, _DIGIT_BITS):
        by = keys.dtype.type(shift)
        place[:] = 0
        for i in range(count):
            place[(from_keys[i] >> by) & mask] += np.uint32(1)
        total = np.uint32(0)
        for digit in range(len(place)):
            here = place[digit]
            place[digit] = total
            total += here
        for i in range(count):
            digit = (from_keys[i] >> by) & mask
            to = place[digit]
            place[digit] = to + np.uint32(1)
            to_keys[to] = from_keys[i]
            to_order[to] = from_order[i]
        from_keys, from_order, to_keys, to_order = to_keys, to_order, from_keys, from_order
        passes += 1
    if passes % 2:
        for i in range(count):  # a loop, because numba takes seconds to compile the assignment of a whole array
            keys[i] = other_keys[i]
            order[i] = other_order[i]


@compiled
def _number(keys: KeyArray, point: IndexArray, start: IndexArray, of_point: IndexArray) -> int:
    """Number the runs of equal sorted ``keys``, move each run's key to its number, and return how many there are."""
    count = 0
    for i in range(len(keys)):
        key = keys[i]
        if i == 0 or key != keys[count - 1]:
            keys[count] = key
            start[count] = i
            count += 1
        of_point[point[i]] = count - 1
    return count


@compiled
def _link(
    keys: KeyArray,
    after: KeyArray,
    step: int,
    base: int,
    after_base: int,
    forward: IndexArray,
    backward: IndexArray,
) -> None:
    """Link vertices whose keys differ by ``step``: one merge of sorted keys, without unpredictable branches."""
    none = np.uint32(forward.shape[0])
    i, j = np.uint32(0), np.uint32(0)
    count, after_count = np.uint32(len(keys)), np.uint32(len(after))
    while i < count and j < after_count:
        wanted, found = np.int64(keys[i]) + step, np.int64(after[j])
        same = wanted == found
        forward[base + i] = np.uint32(after_base + j) if same else none
        backward[after_base + j] = np.uint32(base + i) if same else none
        i += np.uint32(wanted <= found)
        j += np.uint32(found <= wanted)
    forward[base + i : base + count] = none
    backward[after_base + j : after_base + after_count] = none
