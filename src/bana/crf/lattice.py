"""Gaussian filtering in any number of dimensions through the permutohedral lattice (Adams, Baek and Davis, 2010)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bana.crf.compiled import FloatArray, IndexArray, Threads, compiled
from bana.crf.embedding import embed, key_space
from bana.crf.filtering import blur, slice_four, slice_one, splat_four, splat_one
from bana.crf.vertices import Vertices, find_vertices
from bana.errors import DataError

MOST_ENTRIES = 2**31
"""Points times vertices around each: what the 32-bit indices of a lattice are allowed to count."""

CHANNEL_COUNTS = (1, 4)
"""How many channels can be filtered at once."""

_SPLAT = {1: splat_one, 4: splat_four}
_SLICE = {1: slice_one, 4: slice_four}
_LEAST_NORM = np.float32(1e-20)


@dataclass(frozen=True, eq=False)
class Lattice:
    """The filter D^-1/2 K D^-1/2 over N points, where K is the Gaussian kernel of their features and D its row sums.

    The normalisation is folded into the weights with which points are splatted and sliced.

    Attributes:
        vertices: The lattice around the points.
        point_weight: float32 (N, d+1), weights for slicing, laid out as ``vertices.of_point``.
        entry_weight: float32 (N * (d+1),), the same weights for splatting, laid out as ``vertices.point``.
    """

    vertices: Vertices
    point_weight: FloatArray
    entry_weight: FloatArray

    def add_filtered(self, signal: FloatArray, weight: float, out: FloatArray, threads: Threads) -> None:
        """Add ``weight`` times the filtered signal to ``out``.

        Args:
            signal: float32 (N, L), L one of CHANNEL_COUNTS.
            weight: The kernel's weight.
            out: float32 (N, L).
            threads: Who works.
        """
        vertices, channels = self.vertices, signal.shape[1]
        # One more row, which stays 0, is the neighbour of vertices that have none.
        old = np.zeros((vertices.count + 1, channels), dtype=np.float32)
        new = np.zeros_like(old)
        entries = vertices.start, vertices.point, self.entry_weight
        threads.over_range(vertices.count, _SPLAT[channels], *entries, signal, old)
        for forward, backward in zip(vertices.forward, vertices.backward, strict=True):
            threads.over_range(vertices.count, blur, (0,) * channels, forward, backward, old, new)
            old, new = new, old
        # The original code's constant for what the blur adds up to; symmetric normalisation takes it out again.
        dimensions = self.point_weight.shape[1] - 1
        factor = np.float32(weight / (1 + 2.0**-dimensions))
        threads.over_range(len(out), _SLICE[channels], vertices.of_point, self.point_weight, old, factor, out)


def build_lattice(features: FloatArray, threads: Threads) -> Lattice:
    """The normalised Gaussian filter of these points.

    Args:
        features: float32 (d, N), already divided by their standard deviations.
        threads: Who works.

    Raises:
        DataError: If there are more points than 32-bit indices can count.
        SettingsError: If the features reach too far (a sigma is too small).
    """
    dimensions, points = features.shape
    if points * (dimensions + 1) > MOST_ENTRIES:
        raise DataError(
            f"image: {points} pixels need more than {MOST_ENTRIES} lattice entries; scale it down or tile it"
        )
    space = key_space(features)
    keys, point_weight = embed(features, space, threads)
    vertices = find_vertices(keys, space, threads)
    plain = _weighted(vertices, point_weight, threads)
    row_sums = np.zeros((points, 1), dtype=np.float32)
    plain.add_filtered(np.ones_like(row_sums), 1.0, row_sums, threads)
    point_weight /= np.sqrt(row_sums + _LEAST_NORM)
    return _weighted(vertices, point_weight, threads)


def _weighted(vertices: Vertices, point_weight: FloatArray, threads: Threads) -> Lattice:
    points, around = point_weight.shape
    entry_weight = np.empty((around, points), dtype=np.float32)
    point = vertices.point.reshape(around, points)
    threads.each(lambda k: _take(point_weight[:, k], point[k], entry_weight[k]), range(around))
    return Lattice(vertices, point_weight, entry_weight.reshape(-1))


@compiled
def _take(values: FloatArray, index: IndexArray, out: FloatArray) -> None:
    """out[i] = values[index[i]]; numpy's own holds the GIL."""
    for i in range(np.uint64(len(index))):
        out[i] = values[index[i]]
