"""The three steps of filtering through a lattice, compiled: splat, blur, slice.

Every output is written by one thread, its terms added in one order: the bits do not depend on how ranges are split.
The loops run over unsigned numbers because numba then leaves out its test for negative indices. Splat and slice exist
for one and for four channels because only named variables stay in registers.
"""

from __future__ import annotations

import numpy as np

from bana.crf.compiled import FloatArray, IndexArray, compiled

_0, _1, _2, _3 = (np.uint32(channel) for channel in range(4))


@compiled
def splat_one(
    begin: int,
    end: int,
    start: IndexArray,
    point: IndexArray,
    weight: FloatArray,
    signal: FloatArray,
    values: FloatArray,
) -> None:
    """Set every vertex's values (M+1, 1) to the weighted sum of the signal (N, 1) of its points."""
    for vertex in range(np.uint32(begin), np.uint32(end)):
        total = np.float32(0)
        for entry in range(start[vertex], start[vertex + _1]):
            total += weight[entry] * signal[point[entry], _0]
        values[vertex, _0] = total


@compiled
def splat_four(
    begin: int,
    end: int,
    start: IndexArray,
    point: IndexArray,
    weight: FloatArray,
    signal: FloatArray,
    values: FloatArray,
) -> None:
    """Set every vertex's values (M+1, 4) to the weighted sum of the signal (N, 4) of its points."""
    for vertex in range(np.uint32(begin), np.uint32(end)):
        a = b = c = d = np.float32(0)
        for entry in range(start[vertex], start[vertex + _1]):
            w, p = weight[entry], point[entry]
            a += w * signal[p, _0]
            b += w * signal[p, _1]
            c += w * signal[p, _2]
            d += w * signal[p, _3]
        values[vertex, _0] = a
        values[vertex, _1] = b
        values[vertex, _2] = c
        values[vertex, _3] = d


@compiled
def blur(
    begin: int,
    end: int,
    channels: tuple[int, ...],
    forward: IndexArray,
    backward: IndexArray,
    old: FloatArray,
    new: FloatArray,
) -> None:
    """One direction's (1/2, 1, 1/2); ``channels`` is any tuple of that length, which the compiler then knows."""
    for vertex in range(np.uint32(begin), np.uint32(end)):
        ahead, behind = forward[vertex], backward[vertex]
        for channel in range(np.uint32(len(channels))):
            new[vertex, channel] = old[vertex, channel] + np.float32(0.5) * (old[ahead, channel] + old[behind, channel])


@compiled
def slice_one(
    begin: int, end: int, vertex: IndexArray, weight: FloatArray, values: FloatArray, factor: float, out: FloatArray
) -> None:
    """Add to every point's out (N, 1) ``factor`` times the weighted sum of its vertices' values."""
    around = np.uint32(vertex.shape[1])
    for point in range(np.uint32(begin), np.uint32(end)):
        total = np.float32(0)
        for k in range(around):
            total += weight[point, k] * values[vertex[point, k], _0]
        out[point, _0] += factor * total


@compiled
def slice_four(
    begin: int, end: int, vertex: IndexArray, weight: FloatArray, values: FloatArray, factor: float, out: FloatArray
) -> None:
    """Add to every point's out (N, 4) ``factor`` times the weighted sum of its vertices' values."""
    around = np.uint32(vertex.shape[1])
    for point in range(np.uint32(begin), np.uint32(end)):
        a = b = c = d = np.float32(0)
        for k in range(around):
            w, v = weight[point, k], vertex[point, k]
            a += w * values[v, _0]
            b += w * values[v, _1]
            c += w * values[v, _2]
            d += w * values[v, _3]
        out[point, _0] += factor * a
        out[point, _1] += factor * b
        out[point, _2] += factor * c
        out[point, _3] += factor * d
