"""The random walk that spreads class activations by affinities (Ahn and Kwak, CVPR 2018, Sec. 3.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bana.affinity.pairs import Shift, distances, paired, shifts_within


class Transition(NamedTuple):
    """T = D^-1 W^beta, the chances of a step from each cell to itself and to its neighbors; each row sums to 1.

    W is 1 on the diagonal, the affinity (Eq. 3) of two cells nearer than gamma, and 0 elsewhere. The power is taken
    element by element; D is the diagonal matrix of the sums of the rows. T would have (h * w)^2 entries, so it is kept
    by shifts: about 69 entries a row for a radius of 5.

    Attributes:
        shifts: The shifts to half of the neighbors.
        affinities: W^beta of the pairs of each shift, (h - down, w - abs(across)).
        degree: The diagonal of D, (h, w).
    """

    shifts: list[Shift]
    affinities: list[Tensor]
    degree: Tensor


def transition(features: Tensor, radius: int, power: float) -> Transition:
    """T of an image.

    Args:
        features: f_aff (C, h, w).
        radius: gamma, in cells.
        power: beta; the greater it is, the less a walk crosses small affinities.
    """
    shifts = shifts_within(radius, (features.shape[1], features.shape[2]))
    affinities = [(-power * distances(features, shift)).exp() for shift in shifts]
    degree = torch.ones_like(features[0])
    for shift, affinity in zip(shifts, affinities, strict=True):
        for cells in paired(degree, shift):
            cells += affinity
    return Transition(shifts, affinities, degree)


def random_walk(chances: Transition, maps: Tensor, steps: int) -> Tensor:
    """T^steps applied to maps, step by step: the power itself would be dense.

    Args:
        chances: T.
        maps: (V, h, w).
        steps: t, the exponent of T.

    Returns:
        (V, h, w).
    """
    for _ in range(steps):
        spread = maps.clone()
        for shift, affinity in zip(chances.shifts, chances.affinities, strict=True):
            (to_first, to_second), (first, second) = paired(spread, shift), paired(maps, shift)
            to_first.addcmul_(affinity, second)
            to_second.addcmul_(affinity, first)
        maps = spread / chances.degree
    return maps
