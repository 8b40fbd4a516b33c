"""Where points lie in the permutohedral lattice (Adams, Baek and Davis, 2010, sections 3 and 4).

A feature of d dimensions is lifted into the hyperplane of R^(d+1) whose coordinates sum to zero. The lattice's vertices
there are the integer points whose coordinates all leave the same remainder, 0..d, after division by d+1; every simplex
has one vertex of each remainder. A vertex with remainder k is thus known by its quotients (c_i - k) / (d+1), and its
key is their mixed-radix number. A step along a lattice direction adds the same constant to every key of one remainder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from densecrf.compiled import ROUND_TO_EVEN, FloatArray, compiled
from densecrf.errors import DenseCRFError
from densecrf.workspace import Arrays, Workspace

KeyArray = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]

MAX_COORDINATE = 2**20
"""Above it float32 places a point in its simplex no better than to a hundredth of its width."""

_u = np.uint64
_TILE = _u(256)  # points whose scratch stays in the first-level cache

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

    def wrapped(self, number: int) -> np.uint32 | np.uint64:
        """The number, which may be negative, modulo the size of the keys' type."""
        return self.dtype(number % (np.iinfo(self.dtype).max + 1))

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
    """The keys that the vertices around these points, and their neighbors, can have.

    Args:
        features: float32 (d, N), already divided by their standard deviations.

    Raises:
        DenseCRFError: If the features reach so far that float32 or 64-bit keys cannot tell vertices apart.
    """
    dimensions = len(features)
    reach = np.abs(features).max()
    if not reach < MAX_COORDINATE:  # NaN too, from infinities that meet
        raise _too_far(reach)
    scale = embedding_scale(dimensions).astype(np.float64)
    low, high = features.min(axis=1) * scale, features.max(axis=1) * scale
    lowest, radices = [], []
    for axis in range(dimensions):
        before_low, before_high = (low[axis - 1], high[axis - 1]) if axis else (0.0, 0.0)
        first = (low[axis:].sum() - axis * before_high) / (dimensions + 1)
        last = (high[axis:].sum() - axis * before_low) / (dimensions + 1)
        if max(abs(first), abs(last)) * (dimensions + 1) >= MAX_COORDINATE:
            raise _too_far(reach)
        # Below the rounded quotient: one for its correction, one inside the simplex, one for the neighbor; above: two.
        lowest.append(math.floor(first + _ROUNDING_SLACK) - 3)
        radices.append(math.ceil(last - _ROUNDING_SLACK) + 2 - lowest[-1] + 1)
    strides = [math.prod(radices[axis + 1 :]) for axis in range(dimensions)]
    size = math.prod(radices)
    if size > 2**63:
        raise DenseCRFError(f"sigmas: lattice keys need {size.bit_length()} bits, 63 are allowed; enlarge sxy or srgb")
    origin = -sum(first * stride for first, stride in zip(lowest, strides, strict=True))
    return KeySpace((*strides, 0), origin, size)


def _too_far(reach: float) -> DenseCRFError:
    return DenseCRFError(f"sigmas: the image reaches {reach:.3g} of them, too many for float32; enlarge sxy or srgb")


def embed(features: FloatArray, space: KeySpace, work: Workspace, arrays: Arrays) -> tuple[KeyArray, FloatArray]:
    """The simplex around every point.

    Args:
        features: float32 (d, N), already divided by their standard deviations.
        space: As key_space(features) gives it.
        work: Threads.
        arrays: Where the results are made.

    Returns:
        keys (d+1, N): key of the simplex's vertex of each remainder; shares float32 (d+1, N): the point's barycentric
        coordinates, in the same order, which sum to 1.
    """
    dimensions, count = features.shape
    keys: KeyArray = arrays.empty((dimensions + 1, count), space.dtype)
    shares: FloatArray = arrays.empty((dimensions + 1, count), np.float32)
    strides = np.array(space.strides, dtype=np.uint64).astype(space.dtype)
    scale = embedding_scale(dimensions)
    work.over_range(count, _embed_range, features, scale, strides, space.wrapped(space.origin), keys, shares)
    return keys, shares


@compiled
def _embed_range(
    begin: int,
    end: int,
    features: FloatArray,
    scale: FloatArray,
    strides: KeyArray,
    origin: int,
    keys: KeyArray,
    shares: FloatArray,
) -> None:
    """Tile by tile and step by step: short loops over the points of a tile, which vectorise and compile quickly.

    Keys are counted modulo the size of their type, so that negative quotients need no care.
    """
    d = len(features)
    around = d + 1
    key_type = keys.dtype.type
    one, width = np.float32(1), np.float32(around)
    inverse = one / width
    values = np.empty((4 * around + 1, _TILE), np.float32)
    lifted, quotient, excess = values[:around], values[around : 2 * around], values[4 * around]
    residual, ranked = values[2 * around : 3 * around], values[3 * around : 4 * around]
    rank, ranked_stride = np.empty((around, _TILE), np.int32), np.empty((around + 1, _TILE), keys.dtype)
    suffix, key = lifted[0], ranked_stride[around]
    for first in range(_u(begin), _u(end), _TILE):
        n = min(_TILE, _u(end) - first)
        for t in range(n):
            suffix[t] = excess[t] = 0
            key[t] = origin
        for i in range(d, 0, -1):
            feature, factor, times, row = features[i - 1], scale[i - 1], np.float32(i), lifted[i]
            for t in range(n):
                scaled = feature[first + t] * factor
                row[t] = suffix[t] - times * scaled
                suffix[t] += scaled

        # The nearest vertex of remainder 0, if the rounded coordinates happen to sum to zero ...
        for i in range(around):
            row, whole, rest, place = lifted[i], quotient[i], residual[i], rank[i]
            for t in range(n):
                nearest = (row[t] * inverse + ROUND_TO_EVEN) - ROUND_TO_EVEN
                whole[t] = nearest
                rest[t] = row[t] - nearest * width
                excess[t] += nearest
                place[t] = 0
        for i in range(around):
            here, place = residual[i], rank[i]
            for j in range(i + 1, around):
                there, other_place = residual[j], rank[j]
                for t in range(n):
                    smaller = np.int32(here[t] < there[t])
                    place[t] += smaller
                    other_place[t] += np.int32(1) - smaller
        # ... and otherwise the coordinates that were rounded furthest go back by one.
        for i in range(around):
            row, whole, rest, place, stride = lifted[i], quotient[i], residual[i], rank[i], strides[i]
            for t in range(n):
                position = place[t] + np.int32(excess[t])
                back = np.int32(position < 0) - np.int32(position > d)
                place[t] = position + np.int32(around) * back
                final = whole[t] + np.float32(back)
                rest[t] = (row[t] - final * width) * inverse
                key[t] += key_type(np.int32(final)) * stride

        for m in range(around):
            value, step = ranked[m], ranked_stride[m]
            for t in range(n):
                value[t] = step[t] = 0
            for i in range(around):
                place, rest, stride = rank[i], residual[i], strides[i]
                for t in range(n):
                    here = place[t] == np.int32(m)
                    value[t] += rest[t] if here else np.float32(0)
                    step[t] += stride if here else key_type(0)
        out, share, low, high = keys[0], shares[0], ranked[d], ranked[0]
        for t in range(n):
            out[first + t] = key[t]
            share[first + t] = low[t] + (one - high[t])
        for k in range(1, around):
            out, share, step = keys[k], shares[k], ranked_stride[around - k]
            low, high = ranked[d - k], ranked[around - k]
            for t in range(n):
                key[t] -= step[t]
                out[first + t] = key[t]
                share[first + t] = low[t] - high[t]
