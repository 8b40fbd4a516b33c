"""The unaries of the CRF (paper 3.2, Eq. 5 to 7), as pure functions at image resolution."""

from __future__ import annotations

import torch
from torch import Tensor


def background_unary(attention: Tensor, background_mask: Tensor, threshold: float) -> Tensor:
    """u_0 (Eq. 7): the attention where it is confident, 1 on definite background.

    Args:
        attention: A before "1 outside the boxes" (H, W), in [0, 1].
        background_mask: bool (H, W), True on definite background.
        threshold: t; A counts as 0 where it is below t times its maximum over the image.

    Returns:
        (H, W) in [0, 1].
    """
    confident = torch.where(attention >= threshold * attention.max(), attention, 0.0)
    return torch.where(background_mask, 1.0, confident)


def object_unary(activation: Tensor, regions: Tensor, per_box: bool) -> Tensor:
    """u_c of one class (Eq. 5): its activation, divided by its maximum, 0 outside the class's boxes.

    Args:
        activation: CAM_c or another foreground map, not negative (H, W).
        regions: bool (K_c, H, W), the pixels of each box of the class.
        per_box: Divide inside each box by the maximum there (where boxes overlap the larger quotient counts), instead
            of everywhere by the maximum over the image.

    Returns:
        (H, W) in [0, 1].
    """
    inside = activation * regions
    greatest = inside.amax((1, 2), keepdim=True) if per_box else activation.max()
    return (inside / greatest.clamp(min=1e-12)).amax(0)


def label_probabilities(unaries: Tensor, background_mask: Tensor) -> Tensor:
    """What the CRF starts from: the softmax of the unaries inside the boxes, one-hot background outside.

    Args:
        unaries: (V, H, W), background first.
        background_mask: bool (H, W), True on definite background.

    Returns:
        (V, H, W), summing to 1 over V.
    """
    background = torch.zeros_like(unaries[:, :1, :1])
    background[0] = 1.0
    return torch.where(background_mask, background, unaries.softmax(0))
