"""The filling-rate loss: a class keeps as many pixels as its filling rate promises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bana.errors import SettingsError
from bana.segment.arguments import check_labels, check_numbers
from bana.segment.losses import AllReduce, log_softmax_of, partial_cross_entropy, single_process


def filling_rate_loss(
    cosine: Tensor,
    labels: Tensor,
    box_labels: Tensor,
    filling_rates: Tensor,
    *,
    temperature: float = 20.0,
    ignore_index: int = 255,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """Eq. 10 on the background and on the best pixels of every class, as many as its filling rate promises.

    In each image, of the pixels labeled c >= 1 those with the highest H_c are kept, at most
    round(filling_rates[c] * pixels in boxes of c); the others are ignored. The choice itself has no gradient. After
    Song et al., "Box-driven class-wise region masking and filling rate guided loss", CVPR 2019, fed with our labels.

    Args:
        cosine: (N, C, H, W) in [-1, 1].
        labels: (N, H, W) int64.
        box_labels: (N, H, W) int64, class of the front box that covers each pixel, 0 outside all boxes.
        filling_rates: (C,) in 0..1, mean over a class's boxes of the share that is the object; entry 0 is not used.
        temperature: factor on the cosines before the softmax.
        ignore_index: label of the pixels that do not count, in both maps.
        all_reduce: sums a number over the processes that share the batch.

    Raises:
        SettingsError: shapes or types do not fit, or the temperature is not positive.
    """
    check_labels(cosine, labels=labels, box_labels=box_labels)
    check_numbers(temperature)
    check_rates(cosine, filling_rates)
    with torch.no_grad():
        score = log_softmax_of(cosine, labels, temperature, ignore_index)
    kept = best_pixels(score, labels, box_labels, filling_rates.to(cosine.device), ignore_index)
    chosen = labels.where(kept, ignore_index)
    return partial_cross_entropy(
        cosine, chosen, temperature=temperature, ignore_index=ignore_index, all_reduce=all_reduce
    )


def check_rates(cosine: Tensor, filling_rates: Tensor) -> None:
    """Raise SettingsError where there is not one filling rate for each class of the cosines (N, C, H, W)."""
    classes = cosine.shape[1]
    if filling_rates.shape != (classes,):
        raise SettingsError(f"the filling rates are {tuple(filling_rates.shape)}: one for each class is ({classes},)")


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
