"""The three steps of filtering through a lattice, compiled: splat, blur, slice.

The terms of every output are added in one order, whatever range or columns a thread is given, so that the bits do not
depend on how the work is split. Loops run over unsigned numbers because numba then leaves out its test for negative
indices; ``lanes`` is any tuple of as many items as values are filtered at once (see ``lanes.py``).
"""

from __future__ import annotations

import numpy as np

from densecrf.compiled import FloatArray, IndexArray, compiled
from densecrf.lanes import load, splat, store

_HALF = np.float32(0.5)
_u = np.uint64


@compiled
def splat_points(
    first: int,
    last: int,
    begin: int,
    end: int,
    lanes: tuple[int, ...],
    vertex: IndexArray,
    weight: FloatArray,
    signal: FloatArray,
    offset: int,
    values: FloatArray,
) -> None:
    """Add to every vertex's values (M * L) the weighted signal of the points begin..end around it.

    Args:
        first: First column of ``vertex`` that is used; a vertex is named in one column only.
        last: One after the last column.
        begin: First point.
        end: One after the last point.
        lanes: L items.
        vertex: uint32 (N, D), the vertices around every point.
        weight: float32 (N, D), its share in each.
        signal: float32 (L * points), from point ``offset`` on.
        offset: See ``signal``.
        values: float32 (M * L), changed.
    """
    columns, width = _u(vertex.shape[1]), _u(len(lanes))
    vertices, weights = vertex.reshape(-1), weight.reshape(-1)
    for point in range(_u(begin), _u(end)):
        own = load(lanes, signal, (point - _u(offset)) * width)
        for entry in range(point * columns + _u(first), point * columns + _u(last)):
            at = _u(vertices[entry]) * width
            store(values, at, load(lanes, values, at) + splat(lanes, weights[entry]) * own)


@compiled
def blur(begin: int, end: int, lanes: tuple[int, ...], neighbors: IndexArray, old: FloatArray, new: FloatArray) -> None:
    """One direction's (1/2, 1, 1/2) for the vertices begin..end.

    Args:
        begin: First vertex.
        end: One after the last vertex.
        lanes: L items.
        neighbors: uint32 (M, 2); M, whose values are 0, where there is none.
        old: float32 ((M + 1) * L).
        new: float32 ((M + 1) * L), output.
    """
    width, half = _u(len(lanes)), splat(lanes, _HALF)
    pairs = neighbors.reshape(-1)
    for vertex in range(_u(begin), _u(end)):
        ahead, behind = _u(pairs[_u(2) * vertex]) * width, _u(pairs[_u(2) * vertex + _u(1)]) * width
        own = load(lanes, old, vertex * width)
        store(new, vertex * width, own + half * (load(lanes, old, ahead) + load(lanes, old, behind)))


@compiled
def slice_points(
    begin: int,
    end: int,
    lanes: tuple[int, ...],
    vertex: IndexArray,
    weight: FloatArray,
    values: FloatArray,
    offset: int,
    out: FloatArray,
) -> None:
    """Set ``out`` (L * points, from point ``offset`` on) to the weighted sum of the values around points begin..end."""
    columns, width = _u(vertex.shape[1]), _u(len(lanes))
    vertices, weights = vertex.reshape(-1), weight.reshape(-1)
    for point in range(_u(begin), _u(end)):
        total = splat(lanes, np.float32(0))
        for entry in range(point * columns, (point + _u(1)) * columns):
            total = total + splat(lanes, weights[entry]) * load(lanes, values, _u(vertices[entry]) * width)
        store(out, (point - _u(offset)) * width, total)
