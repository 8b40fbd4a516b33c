"""Where points lie in the permutohedral lattice (Adams, Baek and Davis, 2010, sections 3 and 4).

A feature of d dimensions is lifted into the hyperplane of R^(d+1) whose coordinates sum to zero. The lattice's vertices
there are the integer points whose coordinates all leave the same remainder, 0..d, after division by d+1; every simplex
has one vertex of each remainder. A vertex with remainder k is thus known by its quotients (c_i - k) / (d+1), and its
key is their mixed-radix number. A step along a lattice direction adds the same constant to every key of one remainder,
so that the neighbours of sorted vertices are found by merging.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bana.crf.compiled import ROUND_TO_EVEN, FloatArray, Threads, compiled
from bana.errors import SettingsError

KeyArray = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]

LARGEST_COORDINATE = 2**20
"""Above it float32 places a point in its simplex no better than to a hundredth of its width."""

_ROUNDING_SLACK = 0.4
"""Added to half-way bounds: covers 0.1 of float32 error in a quotient before it is rounded."""


@dataclass(frozen=True)
class KeySpace:
    """How the quotients of a vertex become one integer.

    Attributes:
        strides: Python int (d+1,): a quotient's place value; 0 for the last one, which the others determine.
        origin: The number that makes the smallest possible key 0 or more: sum of -lowest quotient times stride.
        size: One more than the largest possible key.
    """

    strides: tuple[int, ...]
    origin: int
    size: int

    @property
    def dtype(self) -> type[np.uint32] | type[np.uint64]:
        """The narrowest type that holds every key."""
        return np.uint32 if self.size <= 2**32 else np.uint64

    def step(self, remainder: int, direction: int) -> int:
        """What one step along ``direction`` (+1 everywhere, -d there) adds to keys of this remainder."""
        wraps = remainder == len(self.strides) - 1
        return (sum(self.strides) if wraps else 0) - self.strides[direction]


def embedding_scale(dimensions: int) -> FloatArray:
    """What each feature is multiplied by before lifting, so that the lattice's total blur has unit deviation.

    Returns:
        float32 (d,), rounded where the field's usual implementation rounds.
    """
    deviation = float(np.float32(math.sqrt(2 / 3) * (dimensions + 1)))
    return np.array([deviation / math.sqrt((i + 1) * (i + 2)) for i in range(dimensions)], dtype=np.float32)


def key_space(features: FloatArray) -> KeySpace:
    """The keys that the vertices around these points, and their neighbours, can have.

    Args:
        features: float32 (d, N), already divided by their standard deviations.

    Raises:
        SettingsError: If the features reach so far that float32 or 64-bit keys cannot tell vertices apart.
    """
    dimensions = len(features)
    scale = embedding_scale(dimensions).astype(np.float64)
    low, high = features.min(axis=1) * scale, features.max(axis=1) * scale
    lowest, radices = [], []
    for axis in range(dimensions):
        before_low, before_high = (low[axis - 1], high[axis - 1]) if axis else (0.0, 0.0)
        first = (low[axis:].sum() - axis * before_high) / (dimensions + 1)
        last = (high[axis:].sum() - axis * before_low) / (dimensions + 1)
        if max(abs(first), abs(last)) * (dimensions + 1) >= LARGEST_COORDINATE:
            reach = np.abs(features).max()
            raise SettingsError(
                f"sigmas: the image reaches {reach:.3g} of them, too many for float32; enlarge sxy or srgb"
            )
        # Below the rounded quotient: one for its correction, one inside the simplex, one for the neighbour; above: two.
        lowest.append(math.floor(first + _ROUNDING_SLACK) - 3)
        radices.append(math.ceil(last - _ROUNDING_SLACK) + 2 - lowest[-1] + 1)
    strides = [math.prod(radices[axis + 1 :]) for axis in range(dimensions)]
    size = math.prod(radices)
    if size > 2**63:
        raise SettingsError(f"sigmas: lattice keys need {size.bit_length()} bits, 63 are allowed; enlarge sxy or srgb")
    origin = -sum(first * stride for first, stride in zip(lowest, strides, strict=True))
    return KeySpace((*strides, 0), origin, size)


def embed(features: FloatArray, space: KeySpace, threads: Threads) -> tuple[KeyArray, FloatArray]:
    """The simplex around every point.

    Args:
        features: float32 (d, N), already divided by their standard deviations.
        space: As key_space(features) gives it.
        threads: Who works.

    Returns:
        keys (d+1, N): key of the simplex's vertex of each remainder; weights float32 (N, d+1): its barycentric
        coordinates, in the same order, which sum to 1.
    """
    dimensions, count = features.shape
    keys = np.empty((dimensions + 1, count), dtype=space.dtype)
    weights = np.empty((count, dimensions + 1), dtype=np.float32)
    strides = np.array(space.strides, dtype=np.int64)
    scale = embedding_scale(dimensions)
    threads.over_range(count, _embed_range, (0,) * dimensions, features, scale, strides, space.origin, keys, weights)
    return keys, weights


@compiled
def _embed_range(
    begin: int,
    end: int,
    axes: tuple[int, ...],
    features: FloatArray,
    scale: FloatArray,
    strides: npt.NDArray[np.int64],
    origin: int,
    keys: KeyArray,
    weights: FloatArray,
) -> None:
    d = len(axes)  # of the tuple, and not of the array, so that the compiler knows it and unrolls the loops
    inverse = np.float32(1) / np.float32(d + 1)
    lifted = np.empty(d + 1, dtype=np.float32)
    quotient = np.empty(d + 1, dtype=np.float32)
    residual = np.empty(d + 1, dtype=np.float32)
    rank = np.empty(d + 1, dtype=np.int64)
    ranked = np.empty(d + 1, dtype=np.float32)
    ranked_stride = np.empty(d + 1, dtype=np.int64)
    for point in range(begin, end):
        suffix = np.float32(0)
        for i in range(d, 0, -1):
            scaled = features[i - 1, point] * scale[i - 1]
            lifted[i] = suffix - np.float32(i) * scaled
            suffix += scaled
        lifted[0] = suffix

        # The nearest vertex of remainder 0, if the rounded coordinates happen to sum to zero ...
        excess = np.float32(0)
        for i in range(d + 1):
            quotient[i] = (lifted[i] * inverse + ROUND_TO_EVEN) - ROUND_TO_EVEN
            residual[i] = lifted[i] - quotient[i] * np.float32(d + 1)
            excess += quotient[i]
            rank[i] = 0
        for i in range(d + 1):
            for j in range(i + 1, d + 1):
                smaller = residual[i] < residual[j]
                rank[i] += smaller
                rank[j] += not smaller
        # ... and otherwise the coordinates that were rounded furthest go back by one.
        for i in range(d + 1):
            rank[i] += np.int64(excess)
            if rank[i] < 0:
                rank[i] += d + 1
                quotient[i] += np.float32(1)
            elif rank[i] > d:
                rank[i] -= d + 1
                quotient[i] -= np.float32(1)

        key = np.int64(origin)
        for i in range(d + 1):
            key += np.int64(quotient[i]) * strides[i]
            ranked[rank[i]] = (lifted[i] - quotient[i] * np.float32(d + 1)) * inverse
            ranked_stride[rank[i]] = strides[i]
        keys[0, point] = key
        weights[point, 0] = ranked[d] + (np.float32(1) - ranked[0])
        for k in range(1, d + 1):
            key -= ranked_stride[d + 1 - k]
            keys[k, point] = key
            weights[point, k] = ranked[d - k] - ranked[d + 1 - k]
