"""The mean-field update: what the lattice says and what the unary says become new marginals."""

from __future__ import annotations

from math import factorial

import numpy as np

from densecrf.compiled import ROUND_TO_EVEN, FloatArray, IndexArray, compiled
from densecrf.filtering import slice_points
from densecrf.lanes import larger, largest_lane, load, power_of_two, splat, store, sum_of_lanes

_u = np.uint64
_TILE = _u(512)  # pixels whose scores stay in the first-level cache

_MIN_POWER = np.float32(-87)  # below it exp is not a normal float32
_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)  # few enough bits that its products with small integers are exact
_LN2_LOW = np.float32(-2.12194440e-4)
_TAYLOR = tuple(np.float32(1 / factorial(n)) for n in range(6, -1, -1))


@compiled
def update_contrasts(
    begin: int,
    end: int,
    lanes: tuple[int, ...],
    vertex: IndexArray,
    weight: FloatArray,
    values: FloatArray,
    first_cost: FloatArray,
    costs: FloatArray,
    contrasts: FloatArray,
    compare: bool,
    pixels: IndexArray,
    marginals: FloatArray,
) -> float:
    """Softmax over classes of messages - costs for the points begin..end.

    A softmax ignores what all classes receive alike, so that only differences to the first class are filtered: class
    1 + b * L + l is lane l of block b.

    Args:
        begin: First point.
        end: One after the last point.
        lanes: L items.
        vertex: uint32 (N, D), the vertices around every point.
        weight: float32 (N, D), their weights, for slicing.
        values: float32 (B, (M+1) * L), blurred.
        first_cost: float32 (N,), of class 0.
        costs: float32 (B, N * L), of the others; great in lanes that no class has.
        contrasts: float32 (B, N * L), changed: the marginal of each class less that of class 0.
        compare: Whether the change of the contrasts is wanted.
        pixels: uint32 (N,): where each point's marginals belong.
        marginals: float32 (C, P), output at ``pixels``; C = 0: they are not wanted.

    Returns:
        The greatest change of a contrast; 0 if it is not wanted.
    """
    width, blocks = _u(len(lanes)), _u(len(costs))
    scores = np.empty((blocks + _u(1), _TILE * width), dtype=np.float32)  # those of the blocks, then of class 0
    highest, total = np.empty(_TILE * width, dtype=np.float32), np.empty(_TILE * width, dtype=np.float32)
    peak, inverse, base = np.empty(_TILE, dtype=np.float32), np.empty(_TILE, dtype=np.float32), scores[blocks]
    change = splat(lanes, np.float32(0))
    for first in range(_u(begin), _u(end), _TILE):
        n = min(_TILE, _u(end) - first)
        for i in range(n):
            store(highest, i * width, splat(lanes, -first_cost[first + i]))
        for b in range(blocks):
            score, cost = scores[b], costs[b]
            slice_points(int(first), int(first + n), lanes, vertex, weight, values[b], int(first), score)
            for i in range(n):
                value = load(lanes, score, i * width) - load(lanes, cost, (first + i) * width)
                store(score, i * width, value)
                store(highest, i * width, larger(load(lanes, highest, i * width), value))
        for i in range(n):
            peak[i] = largest_lane(load(lanes, highest, i * width))
            base[i] = -first_cost[first + i] - peak[i]
        for i in range(n):
            store(total, i * width, splat(lanes, np.float32(0)))
        for b in range(blocks + _u(1)):
            score, others = scores[b], n if b < blocks else _u(0)
            for i in range(others):
                store(score, i * width, load(lanes, score, i * width) - splat(lanes, peak[i]))
            for i in range(n * width if others else n):
                score[i] = _exponential(score[i])
            for i in range(others):
                store(total, i * width, load(lanes, total, i * width) + load(lanes, score, i * width))
        for i in range(n):
            inverse[i] = np.float32(1) / (base[i] + sum_of_lanes(load(lanes, total, i * width)))
        for b in range(blocks):
            score, contrast = scores[b], contrasts[b]
            if compare:
                for i in range(n):
                    new = (load(lanes, score, i * width) - splat(lanes, base[i])) * splat(lanes, inverse[i])
                    old = load(lanes, contrast, (first + i) * width)
                    change = larger(change, larger(old - new, new - old))
            for i in range(n):
                new = (load(lanes, score, i * width) - splat(lanes, base[i])) * splat(lanes, inverse[i])
                store(contrast, (first + i) * width, new)
        for c in range(_u(len(marginals))):
            score, lane, step = base, _u(0), _u(1)
            if c:
                score, lane, step = scores[(c - _u(1)) // width], (c - _u(1)) % width, width
            for i in range(n):
                marginals[c, pixels[first + i]] = score[i * step + lane] * inverse[i]
    return float(largest_lane(change))


@compiled
def _exponential(x: np.float32) -> np.float32:
    """Exponential function of a float32 of at most 0, to 3e-7 of its value; unlike libm's, it vectorises."""
    x = max(x, _MIN_POWER)
    shifted = x * _LOG2_E + ROUND_TO_EVEN
    power = shifted - ROUND_TO_EVEN
    rest = x - power * _LN2_HIGH - power * _LN2_LOW
    series = _TAYLOR[0]
    for coefficient in _TAYLOR[1:]:
        series = series * rest + coefficient
    return np.float32(series * power_of_two(shifted))
