"""Gaussian filters in any number of dimensions through the permutohedral lattice (Adams, Baek and Davis, 2010)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from densecrf.compiled import FloatArray, IndexArray, compiled
from densecrf.embedding import KeyArray, embed, key_space
from densecrf.errors import DenseCRFError
from densecrf.filtering import blur, slice_points, splat_points
from densecrf.vertices import find_vertices
from densecrf.workspace import Arrays, Workspace

Normalization = Literal["symmetric", "before", "after", "none"]

MAX_ENTRIES = 2**31
"""Points times vertices around each: what the 32-bit indices of a lattice are allowed to count."""

_u = np.uint64
_TILE = _u(128)  # points whose rows stay in the first-level cache


@dataclass(frozen=True, eq=False)
class Lattice:
    """A weighted sum of normalized Gaussian filters over N points.

    Every filter has columns and vertices of its own; weights and normalization are folded into the shares that points
    have in their vertices.

    Attributes:
        vertex: uint32 (N, D), the vertices around every point, 1..M.
        splat_weight: float32 (N, D), a point's share in each, for splatting.
        slice_weight: float32 (N, D), the same for slicing; the same array if all normalizations are symmetric.
        neighbors: uint32 (passes, M+1, 2), a vertex's neighbors along and against every direction; 0 for none.
    """

    vertex: IndexArray
    splat_weight: FloatArray
    slice_weight: FloatArray
    neighbors: IndexArray

    @property
    def symmetric(self) -> bool:
        """Whether points are splatted and sliced with the same weights."""
        return self.slice_weight is self.splat_weight

    def empty_values(self, lanes: tuple[int, ...], blocks: int, arrays: Arrays) -> FloatArray:
        """Zeros for every vertex, and for number 0, which no point touches: float32 (B, (M+1) * L)."""
        return arrays.zeros((blocks, self.neighbors.shape[1] * len(lanes)), np.float32)

    def splat(self, lanes: tuple[int, ...], signals: FloatArray, values: FloatArray, work: Workspace) -> None:
        """Add signals of the points, float32 (B, N * L), to the values of their vertices."""
        points, columns = self.vertex.shape

        def splat_columns(first: int, last: int) -> None:
            for signal, value in zip(signals, values, strict=True):
                splat_points(first, last, 0, points, lanes, self.vertex, self.splat_weight, signal, 0, value)

        work.over_range(columns, splat_columns)

    def blur(
        self, lanes: tuple[int, ...], values: FloatArray, spare: FloatArray, work: Workspace
    ) -> tuple[FloatArray, FloatArray]:
        """Blur along all directions; the blurred values, and the array that is free now."""
        for neighbors in self.neighbors:
            for old, new in zip(values, spare, strict=True):
                work.over_range(len(neighbors), blur, lanes, neighbors, old, new)
            values, spare = spare, values
        return values, spare

    def filter(self, signals: FloatArray, lanes: tuple[int, ...], work: Workspace) -> FloatArray:
        """The filtered signals.

        Args:
            signals: float32 (B, N * L), L values of every point in each of B blocks.
            lanes: L items.
            work: Threads and memory.

        Returns:
            float32 (B, N * L).
        """
        out: FloatArray = work.empty(signals.shape, np.float32)
        with work.scratch() as scratch:
            values, spare = (self.empty_values(lanes, len(signals), scratch) for _ in range(2))
            self.splat(lanes, signals, values, work)
            values, _ = self.blur(lanes, values, spare, work)
            for value, result in zip(values, out, strict=True):
                work.over_range(len(self.vertex), slice_points, lanes, self.vertex, self.slice_weight, value, 0, result)
        return out


@dataclass(frozen=True, eq=False)
class Filter:
    """One Gaussian filter K over N points, before normalization.

    Attributes:
        vertex: Unsigned integers (d+1, N), the vertices around every point, numbered from 1 in each row.
        bases: uint32 (d+1,), what makes them 1..M.
        share: float32 (d+1, N), barycentric coordinates of every point.
        neighbors: As of ``Lattice``.
        row_sums: float32 (N,), K's row sums.
    """

    vertex: KeyArray
    bases: IndexArray
    share: FloatArray
    neighbors: IndexArray
    row_sums: FloatArray


@dataclass(frozen=True, eq=False)
class Term:
    """A summand of a lattice.

    Attributes:
        weight: What the normalized filter is multiplied by.
        normalization: How K becomes that, with the diagonal matrix D of K's row sums: ``symmetric`` D^-1/2 K D^-1/2,
            ``before`` K D^-1, ``after`` D^-1 K, ``none`` K itself, over what the lattice's blur adds up to.
        source: Features float32 (d, N), already divided by their standard deviations; or the filter that they make.
    """

    weight: float
    normalization: Normalization
    source: FloatArray | Filter

    @property
    def columns(self) -> int:
        """Vertices around every point."""
        return len(self.source.vertex) if isinstance(self.source, Filter) else len(self.source) + 1

    def scales(self, row_sums: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What a point's shares are multiplied by for splatting and for slicing, float32 (N,)."""
        factor = np.float32(math.sqrt(self.weight))
        if self.normalization == "symmetric":
            scale = (factor / np.sqrt(row_sums)).astype(np.float32)
            return scale, scale
        plain = np.full_like(row_sums, factor)
        if self.normalization == "before":
            return (factor / row_sums).astype(np.float32), plain
        if self.normalization == "after":
            return plain, (factor / row_sums).astype(np.float32)
        # The original code's constant; the other normalizations cancel it.
        return plain / np.float32(1 + 2.0 ** (1 - self.columns)), plain


def build_filter(features: FloatArray, work: Workspace, arrays: Arrays, room: int = 0) -> Filter:
    """The Gaussian filter of points.

    Args:
        features: float32 (d, N), divided by their standard deviations.
        work: Threads and memory.
        arrays: Where the filter is made.
        room: How many rows of zeros follow the neighbors.

    Raises:
        DenseCRFError: If the features reach too far (a sigma is too small).
    """
    space = key_space(features)
    keys, share = embed(features, space, work, arrays)
    found = find_vertices(keys, share, space, room, work, arrays)
    row_sums: FloatArray = arrays.empty(features.shape[1], np.float32)
    with work.scratch() as scratch:
        values, spare = found.sums, scratch.empty(len(found.sums), np.float32)
        for neighbors in found.neighbors:
            work.over_range(len(values), blur, (0,), neighbors, values, spare)
            values, spare = spare, values
        work.over_range(len(row_sums), _slice_rows, keys, found.bases, share, values, row_sums)
    return Filter(keys, found.bases, share, found.neighbors, row_sums)


def build_lattice(terms: Sequence[Term], work: Workspace) -> Lattice:
    """The lattice of a sum of filters over the same points.

    Raises:
        DenseCRFError: If there are more points than 32-bit indices can count.
        DenseCRFError: If features reach too far (a sigma is too small).
    """
    source = terms[0].source
    points = (source.vertex if isinstance(source, Filter) else source).shape[1]
    shape = points, sum(term.columns for term in terms)
    if math.prod(shape) > MAX_ENTRIES:
        raise DenseCRFError(f"image: {points} pixels need more than {MAX_ENTRIES} lattice entries; use DenseCRF.tiled")
    vertex, splat_weight = work.empty(shape, np.uint32), work.empty(shape, np.float32)
    symmetric = all(term.normalization == "symmetric" for term in terms)
    slice_weight = splat_weight if symmetric else work.empty(shape, np.float32)
    # The usual case, one filter that looks at the image and one that is known: the first leaves room for the other.
    known = [term.source.neighbors for term in terms if isinstance(term.source, Filter)]
    direct = len(known) == len(terms) - 1 and not isinstance(source, Filter)
    direct = direct and all(len(neighbors) <= terms[0].columns for neighbors in known)
    room = sum(neighbors.shape[1] - 1 for neighbors in known) if direct else 0
    with work.scratch() as scratch:
        column, base = 0, np.uint32(0)
        parts = []
        for term in terms:
            if isinstance(term.source, Filter):
                part = term.source
            else:
                part = build_filter(term.source, work, work.arrays if direct else scratch, room)
            splat_scale, slice_scale = term.scales(part.row_sums)
            entries = part.vertex, part.bases + base, part.share
            work.over_range(points, _put_columns, *entries, splat_scale, column, vertex, splat_weight)
            if not symmetric:
                work.over_range(points, _put_columns, *entries, slice_scale, column, vertex, slice_weight)
            parts.append((int(base), part.neighbors))
            column, base = column + term.columns, base + np.uint32(part.neighbors.shape[1] - 1)
            if direct and len(parts) == 1:
                base -= np.uint32(room)
        passes = max(len(neighbors) for _, neighbors in parts)
        neighbors = parts.pop(0)[1] if direct else work.zeros((passes, int(base) + 1, 2), np.uint32)
        for start, part_neighbors in parts:
            work.each(partial(_put_neighbors, start), list(zip(part_neighbors, neighbors, strict=False)))
    return Lattice(vertex, splat_weight, slice_weight, neighbors)


@compiled
def _slice_rows(
    begin: int, end: int, vertex: KeyArray, bases: IndexArray, share: FloatArray, values: FloatArray, out: FloatArray
) -> None:
    """Set ``out`` to the sum of the values around every point, weighted by its shares."""
    for k in range(_u(len(bases))):
        vertices, shares, base = vertex[k], share[k], _u(bases[k])
        for point in range(_u(begin), _u(end)):
            part = shares[point] * values[_u(vertices[point]) + base]
            out[point] = out[point] + part if k else part


@compiled
def _put_columns(
    begin: int,
    end: int,
    rows: KeyArray,
    bases: IndexArray,
    share: FloatArray,
    scale: FloatArray,
    column: int,
    vertex: IndexArray,
    weight: FloatArray,
) -> None:
    """Write a filter into the columns from ``column`` on, its vertices raised by the bases and its shares scaled."""
    for first in range(_u(begin), _u(end), _TILE):
        last = min(first + _TILE, _u(end))
        for k in range(_u(len(bases))):
            vertices, shares, base = rows[k], share[k], bases[k]
            for point in range(first, last):
                vertex[point, _u(column) + k] = np.uint32(vertices[point]) + base
                weight[point, _u(column) + k] = shares[point] * scale[point]


def _put_neighbors(base: int, pair: tuple[IndexArray, IndexArray]) -> None:
    """Copy one direction's neighbors into the rows of zeros from ``base`` + 1 on."""
    old, new = pair[0][1:], pair[1][base + 1 : base + len(pair[0])]
    np.add(old, np.uint32(base), out=new, where=old != 0)
