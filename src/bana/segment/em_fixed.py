"""EM-Fixed of WSSL with boxes: the network's own labels, pulled towards the classes whose boxes hold a pixel.

Papandreou et al., "Weakly- and semi-supervised learning of a deep convolutional network for semantic image
segmentation", ICCV 2015, section 3.2 (Algorithm 1, EM-Fixed) and section 3.3 (Bbox-EM-Fixed).
"""

from __future__ import annotations

import torch
from torch import Tensor

from bana.segment.arguments import check_labels, check_numbers, check_regions
from bana.segment.losses import AllReduce, partial_cross_entropy, single_process

OBJECT_BIAS = 8.0
"""b_l of a present class. Both biases are our choice. Scores here reach from -20 to 20, and where the two biases differ
by as little as 2 a network soon finds nothing but background."""

BACKGROUND_BIAS = 3.0
"""b_0, the background's."""


def em_fixed_loss(
    cosine: Tensor,
    labels: Tensor,
    regions: Tensor,
    *,
    object_bias: float = OBJECT_BIAS,
    background_bias: float = BACKGROUND_BIAS,
    temperature: float = 20.0,
    ignore_index: int = 255,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """The M-step: mean cross-entropy to the labels that ``estimated_labels`` finds (Algorithm 1, lines 4 and 5).

    Args:
        cosine: (N, C, H, W) in [-1, 1].
        labels: (N, H, W) int64; they say only which pixels do not count.
        regions: bool (N, C, H, W), where each class may be.
        object_bias: Added to the scores of a class in its boxes.
        background_bias: Added to the background's scores.
        temperature: Factor on the cosines; the product is the score f.
        ignore_index: Label of the pixels that do not count.
        all_reduce: Sums a number over the processes that share the batch.

    Raises:
        SettingsError: Shapes or types do not fit, or the temperature is not positive.
    """
    check_labels(cosine, labels=labels)
    check_regions(cosine, regions)
    check_numbers(temperature)
    found = estimated_labels(temperature * cosine.detach(), regions, object_bias, background_bias)
    target = found.where(labels != ignore_index, ignore_index)
    return partial_cross_entropy(
        cosine, target, temperature=temperature, ignore_index=ignore_index, all_reduce=all_reduce
    )


def estimated_labels(scores: Tensor, regions: Tensor, object_bias: float, background_bias: float) -> Tensor:
    """The E-step: at every pixel the class of the greatest score plus bias, of those that may be there (Algorithm 1).

    The paper adds the bias inside the boxes and rules out no class; here a class is nowhere but in its boxes.

    Args:
        scores: (N, C, H, W), f.
        regions: bool (N, C, H, W), where each class may be; the background, class 0, usually anywhere.
        object_bias: Added to classes from 1 on.
        background_bias: Added to class 0.

    Returns:
        int64 (N, H, W).
    """
    bias = scores.new_full((scores.shape[1], 1, 1), object_bias)
    bias[0] = background_bias
    return (scores + bias).where(regions, -torch.inf).argmax(1)
