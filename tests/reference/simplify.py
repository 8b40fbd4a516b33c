"""Ramer, Douglas and Peucker's rule for closed outlines, point by point."""

import math
from fractions import Fraction


def slow_simplified_ring(ring, tolerance):
    """The corners [x, y] of a ring that are needed; its box where fewer than three are."""
    farthest = max(range(len(ring)), key=lambda index: (math.dist(ring[0], ring[index]), -index))
    closed = [*ring, ring[0]]
    kept = _kept(closed[: farthest + 1], tolerance)[:-1] + _kept(closed[farthest:], tolerance)[:-1]
    if len(kept) >= 3:
        return kept
    xs, ys = zip(*ring, strict=True)
    return [[min(xs), min(ys)], [max(xs), min(ys)], [max(xs), max(ys)], [min(xs), max(ys)]]


def _kept(line, tolerance):
    """The points of an open line that are needed, with both ends."""
    distances = [_squared_distance(point, line[0], line[-1]) for point in line[1:-1]]
    if not distances or max(distances) <= Fraction(tolerance) ** 2:
        return [line[0], line[-1]]
    worst = distances.index(max(distances)) + 1
    return _kept(line[: worst + 1], tolerance)[:-1] + _kept(line[worst:], tolerance)


def _squared_distance(point, start, end):
    """From a point to a straight piece, exactly."""
    (px, py), (x0, y0), (x1, y1) = point, start, end
    length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    along = Fraction((px - x0) * (x1 - x0) + (py - y0) * (y1 - y0), length) if length else Fraction(0)
    along = min(max(along, Fraction(0)), Fraction(1))
    return (px - x0 - along * (x1 - x0)) ** 2 + (py - y0 - along * (y1 - y0)) ** 2
