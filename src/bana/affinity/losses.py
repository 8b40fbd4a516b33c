"""The loss of AffinityNet, over pairs of cells whose classes are known (Ahn and Kwak, CVPR 2018, Sec. 3.2.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from bana.affinity.pairs import distances, paired, shifts_within

UNKNOWN = -1
"""The class of a neutral cell; its pairs do not count."""

WEIGHTS = (1.0, 1.0, 2.0)
"""Weights of the pairs of one object class, of background, and of two classes."""

_MIN_DISTANCE = 1e-5
"""Stands for a smaller L1 distance between cells of two classes, or the logarithm of 1 - W would be infinite."""


def pair_losses(features: Tensor, labels: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """The summed losses of each kind of pair, and how many pairs there are.

    The kinds are pairs of one object class (P+fg), of background (P+bg) and of two classes (P-). A pair that belongs
    together costs -log W, one that does not -log(1 - W).

    Args:
        features: f_aff (N, C, h, w).
        labels: int64 (N, h, w): 0 background, 1..L, UNKNOWN.
        radius: gamma, in cells.

    Returns:
        Sums (3,) and counts (3,), both float32.
    """
    sums = features.new_zeros(3)
    counts = features.new_zeros(3)
    for shift in shifts_within(radius, (features.shape[2], features.shape[3])):
        together = distances(features, shift)
        apart = -(-torch.expm1(-together.clamp(min=_MIN_DISTANCE))).log()
        first, second = paired(labels, shift)
        known = (first != UNKNOWN) & (second != UNKNOWN)
        same = known & (first == second)
        kinds = torch.stack([same & (first > 0), same & (first == 0), known & (first != second)]).to(features)
        sums = sums + (torch.stack([together, together, apart]) * kinds).sum((1, 2, 3))
        counts += kinds.sum((1, 2, 3))
    return sums, counts


def affinity_loss(sums: Tensor, counts: Tensor) -> Tensor:
    """L = L+fg + L+bg + 2 L-, each a mean over its pairs; a kind without a pair contributes 0.

    Args:
        sums: (3,) of ``pair_losses``.
        counts: (3,).
    """
    return (sums.new_tensor(WEIGHTS) * sums / counts.clamp(min=1.0)).sum()
