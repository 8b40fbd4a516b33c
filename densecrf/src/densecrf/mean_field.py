"""Mean field with Potts kernels: C - 1 channels, and one compiled pass over the pixels in every iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from densecrf.barrier import State, wait
from densecrf.compiled import FloatArray, IndexArray, compiled
from densecrf.filtering import blur, splat_points
from densecrf.lattice import Lattice
from densecrf.softmax import update_contrasts
from densecrf.subset import lattice_of_points
from densecrf.workspace import Arrays, Workspace

_NO_CLASS = np.float32(1e30)
_UNWANTED = np.empty((0, 0), dtype=np.float32)
_u = np.uint64
_TILE = _u(256)  # pixels whose costs stay in the first-level cache


@dataclass(frozen=True, eq=False)
class Field:
    """The pixels of an image that a CRF connects.

    Attributes:
        pixels: P, of the image.
        connected: uint32 (N,), the pixels that take part, in ascending order.
        lattice: Their filter.
        free: uint32 (F,), the pixels that change; the others that take part are fixed.
        free_lattice: The filter between those.
    """

    pixels: int
    connected: IndexArray
    lattice: Lattice
    free: IndexArray
    free_lattice: Lattice

    @classmethod
    def of(
        cls, lattice: Lattice, connected: IndexArray, fixed: npt.NDArray[np.bool_] | None, pixels: int, work: Workspace
    ) -> Field:
        """The field of a lattice over the connected pixels; ``fixed`` is bool (P,)."""
        if fixed is None:
            return cls(pixels, connected, lattice, connected, lattice)
        among = np.flatnonzero(~fixed[connected]).astype(np.uint32)
        return cls(pixels, connected, lattice, connected[among], lattice_of_points(lattice, among, work))


def potts_mean_field(
    unary: FloatArray, field: Field | None, iterations: int, tolerance: float, work: Workspace
) -> FloatArray:
    """Marginals after parallel updates Q <- softmax(lattice Q - unary) of the free pixels, Q_0 = softmax(-unary).

    What fixed pixels say never changes: it is filtered once and joins the unary.

    Args:
        unary: float32 (C, P), C >= 2.
        field: The pixels and their lattice; None if no pixel is connected.
        iterations: How many updates there are, at most.
        tolerance: They end earlier when no q_c - q_0 changes by more; 0: never.
        work: Threads and memory.

    Returns:
        float32 (C, P).
    """
    marginals = np.empty_like(unary)
    with work.scratch() as scratch:
        every = np.arange(unary.shape[1], dtype=np.uint32)
        costs = _Costs.of(unary, every, work, scratch)
        contrasts: FloatArray = scratch.zeros(costs.others.shape, np.float32)
        _update(costs, contrasts, _no_lattice(len(every)), every, 1, 0, marginals, work)
        if field is None or not iterations or not len(field.free):
            return marginals
        if len(field.free) < field.pixels:
            costs = _Costs.of(unary, field.free, work, scratch)
            free_contrasts = _of_pixels(contrasts, field.free, costs.lanes)
            if len(field.free) < len(field.connected):
                costs.others[:] -= _fixed_messages(contrasts, field, costs.lanes, work)
            contrasts = free_contrasts
        _update(costs, contrasts, field.free_lattice, field.free, iterations, tolerance, marginals, work)
    return marginals


def _no_lattice(points: int) -> Lattice:
    """A lattice without vertices, whose messages are 0."""
    weight = np.empty((points, 0), dtype=np.float32)
    return Lattice(np.empty((points, 0), np.uint32), weight, weight, np.empty((0, 1, 2), np.uint32))


def _update(
    costs: _Costs,
    contrasts: FloatArray,
    lattice: Lattice,
    pixels: IndexArray,
    updates: int,
    tolerance: float,
    marginals: FloatArray,
    work: Workspace,
) -> None:
    """So many updates of the contrasts; the marginals of the pixels are those after the last one."""
    with work.scratch() as scratch:
        work.together(
            _run,
            costs.lanes,
            *(lattice.vertex, lattice.splat_weight, lattice.slice_weight, lattice.neighbors),
            *(costs.first, costs.others, contrasts),
            scratch.zeros((3, len(costs.others), lattice.neighbors.shape[1] * len(costs.lanes)), np.float32),
            *(pixels, marginals, updates, np.float32(tolerance)),
            np.zeros(work.threads, dtype=np.float32),
        )


@compiled
def _run(
    thread: int,
    threads: int,
    barrier: State,
    lanes: tuple[int, ...],
    vertex: IndexArray,
    splat_weight: FloatArray,
    slice_weight: FloatArray,
    neighbors: IndexArray,
    first_cost: FloatArray,
    costs: FloatArray,
    contrasts: FloatArray,
    values: FloatArray,
    pixels: IndexArray,
    marginals: FloatArray,
    updates: int,
    tolerance: np.float32,
    changes: FloatArray,
) -> None:
    """One thread's part of all iterations; between barriers, threads write to different places.

    The first and the second half of the points are splatted apart and then added, so that two threads need not wait
    for each other and the bits are those of one thread. More threads share the columns of each half.
    """
    points, blocks = len(first_cost), len(costs)
    flat = values.reshape(3, values.shape[1] * values.shape[2])
    size = flat.shape[1]
    begin, end = points * thread // threads, points * (thread + 1) // threads
    low, high = _u(size * thread // threads), _u(size * (thread + 1) // threads)
    from_vertex, to_vertex = neighbors.shape[1] * thread // threads, neighbors.shape[1] * (thread + 1) // threads
    groups = (threads + 1) // 2
    now, one, other = 0, 1, 2
    for update in range(updates):
        for i in range(low, high):
            flat[one, i] = flat[other, i] = 0
        wait(barrier, threads)
        for task in range(thread, 2 * groups, threads):
            group, half = task // 2, task % 2
            first, last = vertex.shape[1] * group // groups, vertex.shape[1] * (group + 1) // groups
            start, stop = points * half // 2, points * (half + 1) // 2
            for b in range(blocks):
                out = values[other if half else one, b]
                splat_points(first, last, start, stop, lanes, vertex, splat_weight, contrasts[b], 0, out)
        wait(barrier, threads)
        for i in range(low, high):
            flat[one, i] += flat[other, i]
        wait(barrier, threads)
        for direction in range(len(neighbors)):
            for b in range(blocks):
                blur(from_vertex, to_vertex, lanes, neighbors[direction], values[one, b], values[other, b])
            one, other = other, one
            wait(barrier, threads)
        now, one = one, now
        changes[thread] = update_contrasts(
            begin,
            end,
            lanes,
            vertex,
            slice_weight,
            values[now],
            first_cost,
            costs,
            contrasts,
            bool(tolerance > 0),
            pixels,
            marginals if tolerance > 0 or update == updates - 1 else marginals[:0],
        )
        if tolerance > 0:
            wait(barrier, threads)
            change = changes[0]
            for other_thread in range(1, threads):
                change = max(change, changes[other_thread])
            if change < tolerance:
                return


def _of_pixels(blocks: FloatArray, pixels: IndexArray, lanes: tuple[int, ...]) -> FloatArray:
    """Those of some pixels, (B, F * L), of blocks (B, P * L)."""
    return blocks.reshape(len(blocks), -1, len(lanes))[:, pixels].reshape(len(blocks), -1)


def _fixed_messages(contrasts: FloatArray, field: Field, lanes: tuple[int, ...], work: Workspace) -> FloatArray:
    """What the fixed pixels say to the free ones (B, F * L), from the contrasts of all pixels (B, P * L)."""
    fixed = np.ones(field.pixels, dtype=np.bool_)
    fixed[field.free] = False
    by_pixel = contrasts.reshape(len(contrasts), field.pixels, len(lanes))
    by_pixel *= fixed[:, None]
    if len(field.connected) < field.pixels:
        contrasts = _of_pixels(contrasts, field.connected, lanes)
    messages = field.lattice.filter(contrasts, lanes, work)
    return _of_pixels(messages, np.searchsorted(field.connected, field.free).astype(np.uint32), lanes)


@dataclass(frozen=True, eq=False)
class _Costs:
    """The unary of some pixels as the compiled loops read it.

    Attributes:
        lanes: L items.
        first: float32 (F,), of class 0.
        others: float32 (B, F * L), of class 1 + b * L + l at lane l of block b.
    """

    lanes: tuple[int, ...]
    first: FloatArray
    others: FloatArray

    @classmethod
    def of(cls, unary: FloatArray, pixels: IndexArray, work: Workspace, arrays: Arrays) -> _Costs:
        """The costs of these pixels."""
        channels = len(unary) - 1
        lanes = (0,) * (1 if channels == 1 else 4 if channels <= 4 else 8)
        others = arrays.empty((math.ceil(channels / len(lanes)), len(pixels) * len(lanes)), np.float32)
        first = arrays.empty(len(pixels), np.float32)
        work.over_range(len(pixels), _take_costs, lanes, unary, pixels, first, others)
        return cls(lanes, first, others)


@compiled
def _take_costs(
    begin: int,
    end: int,
    lanes: tuple[int, ...],
    unary: FloatArray,
    pixels: IndexArray,
    first: FloatArray,
    others: FloatArray,
) -> None:
    width, channels = _u(len(lanes)), _u(len(unary) - 1)
    for tile in range(_u(begin), _u(end), _TILE):
        last = min(tile + _TILE, _u(end))
        for i in range(tile, last):
            first[i] = unary[_u(0), pixels[i]]
        for block in range(_u(len(others))):
            out = others[block]
            for lane in range(width):
                channel = block * width + lane
                for i in range(tile, last):
                    out[i * width + lane] = unary[channel + _u(1), pixels[i]] if channel < channels else _NO_CLASS
