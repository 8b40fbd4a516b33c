"""What the masks of objects are learned from: losses on the maps of proposals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

MaskLoss = Literal["reliable", "all", "noise_aware", "boxinst"]
"""What the mask head learns: labels on reliable pixels alone (the paper's way), on all pixels, on uncertain ones by how
far the head's own features agree; or, from boxes alone, BoxInst's projection and pairwise losses."""

MASK_LOSSES: tuple[MaskLoss, ...] = get_args(MaskLoss)

_SAME_COLOR = 0.3
_NEIGHBORS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Offsets (down, right) to half of a pixel's eight neighbors; the other half are the same pairs."""


def mask_loss(logits: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropy, the weighted mean over pixels (paper 4.3 with weights 1 on S and 0 elsewhere).

    Args:
        logits: (M, S, S), of each object's own class.
        masks: (M, S, S) in 0..1.
        weights: (M, S, S), not negative.

    Returns:
        Scalar; 0 where no pixel has any weight.
    """
    losses = F.binary_cross_entropy_with_logits(logits, masks.to(logits), reduction="none")
    total = weights.sum()
    return (losses * weights).sum() / total.clamp(min=torch.finfo(total.dtype).tiny)


def mask_confidence(cosine: Tensor, masks: Tensor, gamma: float) -> Tensor:
    """How far features agree with the masks that they are to give, 0..1: Eq. 11 and 12 for a sigmoid.

    A sigmoid of w·f is the softmax over two classes whose weights are w and -w: an object's distance to them is
    D = 1 + cos(f, w) and 1 - cos(f, w), and the confidence that of the label over the greater one, to the power gamma.

    Args:
        cosine: (M, S, S), of features and the weight of each object's class.
        masks: (M, S, S) in 0..1; a pixel is the object's from one half on.
        gamma: Damping, at least 1.
    """
    signed = torch.where(masks >= 0.5, cosine, -cosine)
    return ((1 + signed) / (1 + cosine.abs())).clamp(min=0) ** gamma


def projection_loss(probabilities: Tensor, inside: Tensor) -> Tensor:
    """BoxInst's first loss (Tian et al., CVPR 2021): a row's or column's greatest probability says if the box has it.

    Args:
        probabilities: (M, S, S) of the object.
        inside: bool (M, S, S), the object's box.

    Returns:
        Scalar, the mean over objects of two dice losses, each in 0..1.
    """
    total = probabilities.new_zeros(len(probabilities))
    for axis in (1, 2):
        found, wanted = probabilities.amax(axis), inside.to(probabilities).amax(axis)
        shared = 2 * (found * wanted).sum(1)
        total = total + 1 - shared / (found.square() + wanted.square()).sum(1).clamp(min=1e-5)
    return total.mean()


def pairwise_loss(logits: Tensor, colors: Tensor, inside: Tensor) -> Tensor:
    """BoxInst's second loss: neighbors of one color are both of the object or both not.

    Args:
        logits: (M, S, S).
        colors: (M, 3, S, S), CIE L*a*b*. A pair counts from exp(-distance / 2) = 0.3 on.
        inside: bool (M, S, S), the object's box; a pair counts if one of its pixels is inside.

    Returns:
        Scalar, the mean over pairs that count of -log of the probability that both have the same label; 0 without any.
    """
    yes, no = F.logsigmoid(logits), F.logsigmoid(-logits)
    total, count = logits.new_zeros(()), logits.new_zeros(())
    for (yes_1, yes_2), (no_1, no_2), (color_1, color_2), (inside_1, inside_2) in zip(
        _pairs(yes), _pairs(no), _pairs(colors), _pairs(inside), strict=True
    ):
        alike = torch.exp(-torch.linalg.vector_norm(color_1 - color_2, dim=1) / 2) >= _SAME_COLOR
        counted = (alike & (inside_1 | inside_2)).to(logits)
        total = total - (torch.logaddexp(yes_1 + yes_2, no_1 + no_2) * counted).sum()
        count = count + counted.sum()
    return total / count.clamp(min=1)


def _pairs(maps: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Views of maps (..., S, S) and of their neighbors, for each direction."""
    height, width = maps.shape[-2:]
    for down, right in _NEIGHBORS:
        left = max(0, -right)
        yield (
            maps[..., : height - down, left : width - max(0, right)],
            maps[..., down:, left + right : width + min(0, right)],
        )


def lab(images: Tensor) -> Tensor:
    """CIE L*a*b* (D65) of sRGB images (..., 3, H, W) in 0..255: L* in 0..100, a* and b* about -110..110."""
    scaled = images / 255
    linear = torch.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    to_xyz = linear.new_tensor(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    white = linear.new_tensor([0.95047, 1.0, 1.08883])
    xyz = torch.einsum("ij,...jhw->...ihw", to_xyz / white[:, None], linear)
    root = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=1e-9) ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = root.unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-3)
