"""The lattice of some of its points."""

from __future__ import annotations

import numpy as np

from densecrf.compiled import FloatArray, IndexArray, compiled
from densecrf.lattice import Lattice
from densecrf.workspace import Workspace

_u = np.uint64


def lattice_of_points(lattice: Lattice, points: IndexArray, work: Workspace) -> Lattice:
    """The same filter between some of the points only, on the vertices that it needs."""
    shape = len(points), lattice.vertex.shape[1]
    vertex, splat_weight = work.empty(shape, np.uint32), work.empty(shape, np.float32)
    slice_weight = splat_weight if lattice.symmetric else work.empty(shape, np.float32)
    with work.scratch() as scratch:
        number = scratch.zeros(lattice.neighbors.shape[1], np.uint32)
        count = _number_needed(lattice.vertex, points, lattice.neighbors, number)
        neighbors: IndexArray = work.zeros((len(lattice.neighbors), int(count) + 1, 2), np.uint32)
        work.each(lambda both: _renumber_neighbors(*both, number), list(zip(lattice.neighbors, neighbors, strict=True)))
        pairs = [(lattice.splat_weight, splat_weight), (lattice.slice_weight, slice_weight)]
        for old, new in pairs[: 1 if lattice.symmetric else 2]:
            work.over_range(len(points), _take_points, lattice.vertex, old, points, number, vertex, new)
    return Lattice(vertex, splat_weight, slice_weight, neighbors)


@compiled
def _number_needed(vertex: IndexArray, points: IndexArray, neighbors: IndexArray, number: IndexArray) -> np.uint32:
    """Set the ``number`` of every vertex that carries values between these points, 1, 2, ..., and return the count.

    Bit p of ``number`` first says that values from the points are there after p passes of the blur, and bit p of
    ``onwards`` that values which are there then still come to the points.
    """
    passes, one = np.uint32(len(neighbors)), np.uint32(1)
    onwards = np.zeros_like(number)
    for i in range(_u(len(points))):
        for k in range(_u(vertex.shape[1])):
            number[vertex[points[i], k]] = one
            onwards[vertex[points[i], k]] = one << passes
    for p in range(passes):
        after = neighbors[p]
        for v in range(_u(len(number))):
            here = number[v] | number[after[v, _u(0)]] | number[after[v, _u(1)]]
            number[v] |= ((here >> p) & one) << (p + one)
    for p in range(passes, 0, -1):
        before = neighbors[p - 1]
        for v in range(_u(len(number))):
            here = onwards[v] | onwards[before[v, _u(0)]] | onwards[before[v, _u(1)]]
            onwards[v] |= ((here >> np.uint32(p)) & one) << np.uint32(p - 1)
    count = np.uint32(0)
    for v in range(_u(len(number))):
        needed = np.uint32((number[v] & onwards[v]) != 0)
        count += needed
        number[v] = needed * count
    return count


@compiled
def _renumber_neighbors(neighbors: IndexArray, out: IndexArray, number: IndexArray) -> None:
    for v in range(_u(len(number))):
        if number[v]:
            for side in range(_u(2)):
                out[number[v], side] = number[neighbors[v, side]]


@compiled
def _take_points(
    begin: int,
    end: int,
    vertex: IndexArray,
    weight: FloatArray,
    points: IndexArray,
    number: IndexArray,
    out_vertex: IndexArray,
    out_weight: FloatArray,
) -> None:
    for i in range(_u(begin), _u(end)):
        for k in range(_u(vertex.shape[1])):
            out_vertex[i, k] = number[vertex[points[i], k]]
            out_weight[i, k] = weight[points[i], k]
