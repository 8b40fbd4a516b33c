"""Pairs of cells that are near each other, and their affinity (Ahn and Kwak, CVPR 2018, Sec. 3.2).

A pair is a cell and a shift. All pairs of one shift are two views of a map, so nothing loops over cells.
"""

from __future__ import annotations

from torch import Tensor

Shift = tuple[int, int]
"""Rows down and columns to the right, in cells."""


def shifts_within(radius: int, size: tuple[int, int]) -> list[Shift]:
    """The shifts to all cells nearer than ``radius``; each pair of cells has one, so half of the circle is listed.

    Args:
        radius: gamma, in cells; distances are Euclidean and less than it.
        size: (h, w), the cells of the map; shifts that lead out of it from everywhere are left out.
    """
    return [
        (down, across)
        for down in range(min(radius, size[0]))
        for across in range(1 - min(radius, size[1]), min(radius, size[1]))
        if (down, across) > (0, 0) and down**2 + across**2 < radius**2
    ]


def paired(maps: Tensor, shift: Shift) -> tuple[Tensor, Tensor]:
    """Both cells of all pairs of a shift: of maps (..., h, w) two views (..., h - down, w - abs(across))."""
    down, across = shift
    height, width = maps.shape[-2:]
    first = maps[..., : height - down, max(-across, 0) : width - max(across, 0)]
    second = maps[..., down:, max(across, 0) : width - max(-across, 0)]
    return first, second


def distances(features: Tensor, shift: Shift) -> Tensor:
    """-log W of all pairs of a shift (Eq. 3): the L1 distance of their features.

    Args:
        features: f_aff (..., C, h, w).
        shift: Where the second cell lies, seen from the first.

    Returns:
        (..., h - down, w - abs(across)), not negative.
    """
    first, second = paired(features, shift)
    return (first - second).abs().sum(-3)
