"""Box-driven class-wise masking: a mask per class, learned from filled boxes, on the features of that class.

Song et al., "Box-driven class-wise region masking and filling rate guided loss for weakly supervised semantic
segmentation", CVPR 2019, the section on box-driven class-wise masking (BCM). The network applies the masks
(``SegmentationNetwork.with_branch``); here is what teaches them.
"""

from __future__ import annotations

from torch import Tensor

from bana.segment.arguments import check_labels, check_regions
from bana.segment.filling_rate import filling_rate_loss
from bana.segment.losses import AllReduce, single_process
from bana.segment.noise_aware import working_type


def box_masking_loss(
    cosine: Tensor,
    logits: Tensor,
    labels: Tensor,
    box_labels: Tensor,
    regions: Tensor,
    filling_rates: Tensor,
    *,
    mask_weight: float = 1.0,
    temperature: float = 20.0,
    ignore_index: int = 255,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """The filling-rate guided loss on masked cosines, plus mask_weight times the squared error of the masks.

    Args:
        cosine: (N, C, H, W) in [-1, 1], masked already.
        logits: (N, C - 1, H, W), of the masks of classes 1 to C - 1.
        labels: (N, H, W) int64.
        box_labels: (N, H, W) int64, class of the front box that covers each pixel, 0 outside all boxes.
        regions: bool (N, C, H, W), where each class may be.
        filling_rates: (C,) in 0..1, as ``filling_rate_loss`` takes them.
        mask_weight: Weight of the masks' error.
        temperature: Factor on the cosines before the softmax.
        ignore_index: Label of the pixels that do not count, in both maps.
        all_reduce: Sums a number over the processes that share the batch.

    Raises:
        SettingsError: Shapes or types do not fit, or the temperature is not positive.
    """
    check_labels(cosine, labels=labels)
    check_regions(cosine, regions)
    on_labels = filling_rate_loss(
        cosine,
        labels,
        box_labels,
        filling_rates,
        temperature=temperature,
        ignore_index=ignore_index,
        all_reduce=all_reduce,
    )
    masks = logits.to(working_type(logits)).sigmoid()
    error = mask_error(masks, regions[:, 1:], box_labels != ignore_index)
    return on_labels + mask_weight * error / all_reduce((box_labels != ignore_index).sum()).clamp(min=1)


def mask_error(masks: Tensor, boxes: Tensor, counted: Tensor) -> Tensor:
    """Squared error of masks to filled boxes, summed over classes and over the pixels that count.

    Args:
        masks: (N, L, H, W) in 0..1.
        boxes: bool (N, L, H, W), the filled boxes of each class.
        counted: bool (N, H, W).
    """
    return (masks - boxes.to(masks)).square().sum(1).where(counted, 0).sum()
