"""Background-aware pooling (paper 3.1, Eq. 1 to 4) for whole batches, without a loop over boxes or images.

Boxes are in the coordinates of torchvision's RoIAlign with its defaults: feature cells, with the center of cell (0, 0)
at (0, 0). ``feature_boxes`` converts boxes in pixel-edge coordinates to them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

_TINY = 1e-12
"""Stands for the length of a zero vector."""

_MIN_FOREGROUND = 1e-6
"""Keeps a pooled denominator away from 0 where a whole bin is background (A = 1)."""


def background_queries(features: Tensor, background: Tensor, grid_size: int) -> tuple[Tensor, Tensor]:
    """Mean feature of the definite background in every cell of a G x G grid (Eq. 1).

    Where the map does not divide by G it is padded with zeros to a multiple: on both sides equally if the padding is
    even, at the end if it is odd.

    Args:
        features: (N, C, h, w).
        background: (N, 1, h, w), 1 on definite background (outside all boxes), 0 elsewhere.
        grid_size: G, cells in each direction.

    Returns:
        Queries (N, G*G, C), zero where not valid, and valid (N, G*G) bool: the cell has background.
    """
    cells = _cells(features, grid_size) * background.flatten(2)
    weight = cells.sum(2, keepdim=True)
    sums = (features.flatten(2) @ cells.transpose(1, 2)).transpose(1, 2)
    return sums / weight.clamp(min=1.0), weight.squeeze(2) > 0


def background_attention(features: Tensor, queries: Tensor, valid: Tensor) -> Tensor:
    """How much every position looks like the image's background: Eq. 2 and 3, before "1 outside the boxes".

    Args:
        features: (N, C, h, w).
        queries: (N, J, C).
        valid: (N, J) bool; other queries do not count.

    Returns:
        (N, 1, h, w) in [0, 1]; 0 for an image without a valid query.
    """
    height, width = features.shape[-2:]
    positions = features.flatten(2)
    length: Tensor = positions.norm(dim=1, keepdim=True)  # dividing the product spares a copy of the features
    similarity = F.normalize(queries, dim=2) @ positions / length.clamp(min=_TINY)
    counted = similarity.relu() * valid.unsqueeze(2)
    attention = counted.sum(1, keepdim=True) / valid.sum(1).clamp(min=1).view(-1, 1, 1)
    return attention.view(len(features), 1, height, width)


def background_aware_pool(features: Tensor, attention: Tensor, boxes: Tensor, output_size: int) -> Tensor:
    """Mean feature of every box, weighted by how little a position looks like background (Eq. 4).

    Args:
        features: (N, C, h, w).
        attention: (N, 1, h, w) in [0, 1]; all 0 makes this global average pooling of the box.
        boxes: (K, 5): index into the batch, then xyxy in RoIAlign's coordinates (see the module).
        output_size: R, bins a box in each direction.

    Returns:
        (K, C, R, R).
    """
    weight = 1.0 - attention
    pooled: Tensor = roi_align(features * weight, boxes, output_size)
    share: Tensor = roi_align(weight, boxes, output_size)
    return pooled / share.clamp(min=_MIN_FOREGROUND)


def feature_boxes(boxes: Tensor, image_size: tuple[int, int], feature_size: tuple[int, int]) -> Tensor:
    """Boxes in RoIAlign's coordinates on a feature map whose corner cells sit on the image's corner pixels.

    Args:
        boxes: (K, 4) xyxy in pixel-edge coordinates of the image.
        image_size: (H, W) in pixels.
        feature_size: (h, w) in cells.

    Returns:
        (K, 4) xyxy, in cells, cell centers at whole numbers.
    """
    (height, width), (rows, columns) = image_size, feature_size
    across, down = (columns - 1) / max(width - 1, 1), (rows - 1) / max(height - 1, 1)
    return (boxes - 0.5) * boxes.new_tensor([across, down, across, down])


def _cells(features: Tensor, grid_size: int) -> Tensor:
    """Which positions of a map (..., h, w) each cell of the padded grid holds: (G*G, h*w) of 0 and 1."""
    rows, columns = (_cells_of_axis(features, length, grid_size) for length in features.shape[-2:])
    return (rows[:, None, :, None] * columns[None, :, None, :]).view(grid_size**2, -1)


def _cells_of_axis(like: Tensor, length: int, grid_size: int) -> Tensor:
    """Which positions of one axis each cell holds: (G, length) of 0 and 1."""
    before, after = _padding(length, grid_size)
    cell = (torch.arange(length, device=like.device) + before) // ((before + length + after) // grid_size)
    return F.one_hot(cell, grid_size).T.to(like.dtype)


def _padding(length: int, grid_size: int) -> tuple[int, int]:
    """Cells of padding before and after, to a multiple of the grid."""
    missing = -length % grid_size
    return (missing // 2, missing // 2) if missing % 2 == 0 else (0, missing)
