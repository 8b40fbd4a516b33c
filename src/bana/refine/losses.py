"""The refiner's losses, as pure functions on the logits of windows. Pixels count by how sure their label is.

Each loss is a mean over windows, given as a sum and the number of windows, so that shares of a batch add up.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_NEIGHBORS = ((0, 2), (2, 0), (2, 2), (2, -2))
"""Offsets (rows, columns) of the pairs that ``pairwise_loss`` compares; the other four are the same pairs again."""

_OUTSIDE = -30.0
"""A logit that is no object."""


def weighted_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropy of cells that may be of mixed or unknown label.

    Args:
        logits: (N, h, w).
        targets: (N, h, w) in [0, 1], the share of a cell that is object.
        weights: (N, h, w) in [0, 1], how sure that is; 0 ignores a cell.

    Returns:
        The sum over all cells; divide by the sum of the weights.
    """
    return (F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * weights).sum()


def reach_loss(logits: Tensor, boxes: Tensor) -> Tensor:
    """How far objects are from reaching into each row and column of their tight boxes.

    A tight box is touched on all sides, and an object in one piece has pixels in each row and each column between: in
    each there is a cell whose logit should be high.

    Args:
        logits: (N, h, w).
        boxes: (N, 4) xyxy in cells of the map, cell centers at whole numbers.

    Returns:
        The sum over windows of the mean cross-entropy of the greatest logit in each row and column.
    """
    in_columns, in_rows = _inside(boxes, logits.shape[1:])
    inside = in_rows[:, :, None] & in_columns[:, None, :]
    in_columns, in_rows = inside.any(1), inside.any(2)  # none where the box is too small for a cell's center
    greatest = logits.masked_fill(~inside, _OUTSIDE)
    total = logits.new_zeros(())
    for line, counted in ((greatest.amax(1), in_columns), (greatest.amax(2), in_rows)):
        entropy = (F.softplus(-line) * counted).sum(1)
        total = total + (entropy / counted.sum(1).clamp(min=1)).sum() / 2
    return total


def pairwise_loss(logits: Tensor, colors: Tensor, boxes: Tensor, threshold: float = 0.7) -> Tensor:
    """Cross-entropy of "both cells have one label" over neighbors of like color (BoxInst's pairwise term).

    Args:
        logits: (N, h, w).
        colors: (N, 3, h, w) of RGB in [0, 1].
        boxes: (N, 4) xyxy in cells of the map; a pair counts where one of its cells lies in the box.
        threshold: Pairs count whose likeness exp(-4 * distance of colors) is greater.

    Returns:
        The sum over windows of the mean over each window's pairs.
    """
    in_columns, in_rows = _inside(boxes, logits.shape[1:])
    inside = in_rows[:, :, None] & in_columns[:, None, :]
    yes, no = F.logsigmoid(logits), F.logsigmoid(-logits)
    total, pairs = logits.new_zeros(len(logits)), logits.new_zeros(len(logits))
    for down, across in _NEIGHBORS:
        (yes_a, yes_b), (no_a, no_b), (color_a, color_b), (in_a, in_b) = (
            _pairs(each, down, across) for each in (yes, no, colors, inside)
        )
        like = (-4.0 * (color_a - color_b).norm(dim=1)).exp() > threshold
        counted = (like & (in_a | in_b)).to(logits.dtype)
        same = torch.logaddexp(yes_a + yes_b, no_a + no_b)
        total = total - (same * counted).sum((1, 2))
        pairs = pairs + counted.sum((1, 2))
    return (total / pairs.clamp(min=1)).sum()


def _inside(boxes: Tensor, size: torch.Size) -> tuple[Tensor, Tensor]:
    """Which columns (N, w) and rows (N, h) of a map have their center in the box."""
    rows, columns = (torch.arange(length, device=boxes.device) for length in size)
    in_columns = (columns >= boxes[:, 0:1]) & (columns <= boxes[:, 2:3])
    in_rows = (rows >= boxes[:, 1:2]) & (rows <= boxes[:, 3:4])
    return in_columns, in_rows


def _pairs(values: Tensor, down: int, across: int) -> tuple[Tensor, Tensor]:
    """The values (..., h, w) of the first and the second cell of all pairs of one offset."""
    height, width = values.shape[-2:]
    first = values[..., : height - down, max(-across, 0) : width - max(across, 0)]
    second = values[..., down:, max(across, 0) : width - max(-across, 0)]
    return first, second
