"""The mean-field update: unaries and messages to marginals."""

from __future__ import annotations

from math import factorial

import numpy as np
import numpy.typing as npt

from bana.crf.compiled import ROUND_TO_EVEN, FloatArray, compiled

_TILE = np.uint64(256)  # pixels whose scores stay in the first-level cache

_LEAST_POWER = np.float32(-87)  # below it exp is not a normal float32
_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)  # few enough bits that its products with small integers are exact
_LN2_LOW = np.float32(-2.12194440e-4)
_TAYLOR = tuple(np.float32(1 / factorial(n)) for n in range(6, -1, -1))


@compiled
def update_marginals(
    begin: int,
    end: int,
    unary: FloatArray,
    messages: FloatArray,
    held: npt.NDArray[np.bool_],
    contrasts: FloatArray,
    marginals: FloatArray,
    final: bool,
) -> None:
    """Softmax over classes of messages - unary, for the pixels begin..end that are not held.

    Args:
        begin: First pixel.
        end: One after the last pixel.
        unary: float32 (C, N).
        messages: float32 (B, N, L): what class 1 + b * L + l receives more than class 0. Lanes beyond C are ignored.
        held: bool (N,): pixels whose outputs stay as they are.
        contrasts: float32 (B, N, L), output: the marginal of class 1 + b * L + l less that of class 0.
        marginals: float32 (C, N), output where ``final``.
        final: Whether the marginals are wanted, and not only the contrasts.
    """
    classes, lanes = unary.shape[0], messages.shape[2]
    scores = np.empty((classes, _TILE), dtype=np.float32)
    highest = np.empty(_TILE, dtype=np.float32)
    inverse = np.empty(_TILE, dtype=np.float32)
    # Unsigned indices spare numba's test for negative ones, which would keep the loops from being vectorised.
    for first in range(np.uint64(begin), np.uint64(end), _TILE):
        width = min(_TILE, np.uint64(end) - first)
        cost, score = unary[0], scores[0]
        for i in range(width):
            score[i] = highest[i] = -cost[first + i]
        for k in range(1, classes):
            cost, score = unary[k], scores[k]
            message, lane = messages[(k - 1) // lanes], np.uint64((k - 1) % lanes)
            for i in range(width):
                value = message[first + i, lane] - cost[first + i]
                score[i] = value
                highest[i] = value if value > highest[i] else highest[i]
        inverse[:] = 0
        for k in range(classes):
            score = scores[k]
            for i in range(width):
                value = _exp(score[i] - highest[i])
                score[i] = value
                inverse[i] += value
        for i in range(width):
            inverse[i] = np.float32(1) / inverse[i]
        lowest = scores[0]
        for k in range(1, classes):
            score = scores[k]
            contrast, lane = contrasts[(k - 1) // lanes], np.uint64((k - 1) % lanes)
            for i in range(width):
                if not held[first + i]:
                    contrast[first + i, lane] = (score[i] - lowest[i]) * inverse[i]
        if final:
            for k in range(classes):
                score, marginal = scores[k], marginals[k]
                for i in range(width):
                    if not held[first + i]:
                        marginal[first + i] = score[i] * inverse[i]


@compiled
def _exp(x: np.float32) -> np.float32:
    """Exponential function of a float32 of at most 0, to 3e-7 of its value; unlike libm's, it vectorises."""
    x = x if x > _LEAST_POWER else _LEAST_POWER
    power = (x * _LOG2_E + ROUND_TO_EVEN) - ROUND_TO_EVEN
    rest = x - power * _LN2_HIGH - power * _LN2_LOW
    series = _TAYLOR[0]
    for coefficient in _TAYLOR[1:]:
        series = series * rest + coefficient
    exponent_bits = (np.int32(power) + np.int32(127)) * np.int32(1 << 23)
    return series * np.int32(exponent_bits).view(np.float32)
