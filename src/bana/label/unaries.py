"""The unaries of the CRF (paper 3.2, Eq. 5 to 7), as pure functions at image resolution.

Beyond the paper, ``raised_unaries`` uses that boxes are tight: an object reaches into almost every row and column of
its box. Where a label leaves many of them empty, the object was lost there, most often to the CRF, which smooths away
what is small or thin. The object's unary is raised in such rows and columns, and the CRF runs again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bana.data.records import BoolArray, FloatArray, pixel_slices
from bana.label.upsampled import UpsampledFeatures

STEP = 1.0
"""What an object's unary is raised by in an empty row or column of its box, and twice where both are empty."""

ROUNDS = 2
"""Most reruns of the CRF."""


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


def image_attention(
    features: UpsampledFeatures, cosine: Callable[[Tensor], Tensor], background_mask: Tensor, grid_size: int
) -> Tensor:
    """A before "1 outside the boxes" (Eq. 1 to 3), at image resolution.

    Args:
        features: Of the image.
        cosine: What is taken for the cosines of pixels with vectors (V, C): (V, H, W).
        background_mask: bool (H, W), True on definite background.
        grid_size: N; a query is the mean feature of the background in a cell of an N x N grid.

    Returns:
        (H, W) in [0, 1]; 0 where the image has no background.
    """
    cells = _grid_cells(background_mask, grid_size)
    return cosine(features.mean(cells)).relu().mean(0)


def _grid_cells(background_mask: Tensor, grid_size: int) -> Tensor:
    """The background in each cell of a grid that has some, bool (V, H, W); all of it for one cell."""
    if grid_size == 1:
        return background_mask[None]
    rows, columns = (torch.arange(side) * grid_size // side for side in background_mask.shape)
    cell = (rows[:, None] * grid_size + columns).to(background_mask.device)
    cells = [background_mask & (cell == number) for number in range(grid_size**2)]
    return torch.stack([each for each in cells if each.any()] or [background_mask])


def object_unary(activation: Tensor, places: Sequence[tuple[slice, slice]], per_box: bool) -> Tensor:
    """u_c of one class (Eq. 5): its activation, divided by its maximum, 0 outside the class's boxes.

    Args:
        activation: CAM_c or another foreground map, not negative (H, W).
        places: Row and column slices of each box of the class.
        per_box: Divide inside each box by the maximum there (where boxes overlap the larger quotient counts), instead
            of everywhere by the maximum over the image.

    Returns:
        (H, W) in [0, 1].
    """
    unary, strongest = torch.zeros_like(activation), activation.max()
    for place in places:
        inside = activation[place]
        greatest = inside.max() if per_box else strongest
        unary[place] = torch.maximum(unary[place], inside / greatest.clamp(min=1e-12))
    return unary


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


def reached_share(mask: BoolArray) -> float:
    """The share of rows and columns of a box that its mask (h, w) reaches into, 0..1."""
    return float((mask.any(0).sum() + mask.any(1).sum()) / sum(mask.shape))


def raised_unaries(
    labels: npt.NDArray[np.int64], boxes: FloatArray, classes: npt.NDArray[np.int64], count: int, least: float
) -> FloatArray | None:
    """How much to raise the unaries where objects do not reach into their boxes.

    Args:
        labels: (H, W), indices into the labels of the image.
        boxes: (K, 4) xyxy inside the image.
        classes: (K,), the index of each box's class.
        count: V, of labels.
        least: The share of rows and columns (``reached_share``) that satisfies a box.

    Returns:
        float32 (V, H, W), the greatest of all boxes where they overlap; None if all are satisfied.
    """
    raised = np.zeros((count, *labels.shape), dtype=np.float32)
    for box, index in zip(boxes, classes, strict=True):
        place = pixel_slices(box)
        mask = labels[place] == index
        if reached_share(mask) < least:
            empty = STEP * ((~mask.any(1))[:, None].astype(np.float32) + ~mask.any(0))
            raised[(index, *place)] = np.maximum(raised[(index, *place)], empty)
    return raised if raised.any() else None
