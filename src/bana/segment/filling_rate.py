"""Which pixels of a class are kept when its filling rate says how many there should be."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def best_pixels(score: Tensor, labels: Tensor, box_labels: Tensor, filling_rates: Tensor, ignore_index: int) -> Tensor:
    """Of the pixels labeled c >= 1 of each image, the best scored, and all of the background.

    Args:
        score: (N, H, W), the higher the better; of equal ones the earlier pixel goes first.
        labels: (N, H, W) int64.
        box_labels: (N, H, W) int64, class of the front box that covers each pixel, 0 outside all boxes.
        filling_rates: (C,) in 0..1; at most round(filling_rates[c] * pixels in boxes of c) pixels are kept.
        ignore_index: label of the pixels that do not count, in both maps.

    Returns:
        bool (N, H, W).
    """
    images, classes = len(labels), len(filling_rates)
    group, covering = (_groups(numbers, classes, ignore_index) for numbers in (labels, box_labels))
    limit = _sizes(covering, images, classes) * F.pad(filling_rates, (0, 1))
    limit[:, 0] = labels[0].numel()
    kept = _ranks(score.flatten(), group, _sizes(group, images, classes)) < limit.round().flatten()[group]
    return kept.view_as(labels)


def _groups(labels: Tensor, classes: int, ignore_index: int) -> Tensor:
    """One number for each image and class, for all pixels in a row; ignored pixels are one class more."""
    image = torch.arange(len(labels), device=labels.device).view(-1, 1, 1)
    return (image * (classes + 1) + labels.where(labels != ignore_index, classes)).flatten()


def _sizes(group: Tensor, images: int, classes: int) -> Tensor:
    """Pixels in each group, (images, classes + 1)."""
    empty = group.new_zeros(images * (classes + 1))  # bincount would wait for the device
    return empty.scatter_add_(0, group, torch.ones_like(group)).view(images, classes + 1)


def _ranks(score: Tensor, group: Tensor, sizes: Tensor) -> Tensor:
    """How many pixels of its own group go before each, the highest score first; the first of equals goes first."""
    order = score.argsort(descending=True, stable=True)
    order = order[group[order].argsort(stable=True)]
    before = sizes.flatten().cumsum(0) - sizes.flatten()
    position = torch.arange(len(order), device=order.device)
    return torch.empty_like(order).scatter_(0, order, position - before[group[order]])
