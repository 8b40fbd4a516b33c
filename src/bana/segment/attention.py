"""The attention-weighted loss of Box2Seg: boxes are labels, and a predicted map says how far to believe them.

Kulharia et al., "Box2Seg: Attention weighted loss and discriminative feature learning for weakly supervised
segmentation", ECCV 2020, the section on the attention-weighted loss. Its pixel embeddings are not here.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bana.segment.arguments import check_labels, check_numbers, check_regions
from bana.segment.filling_rate import check_rates
from bana.segment.losses import AllReduce, partial_cross_entropy, single_process
from bana.segment.noise_aware import working_type

RATE_WEIGHT = 5.0
"""Weight of L_fr. Until the filling rate is reached, attention grows where H_c > exp(-5) and falls elsewhere. A network
that has learned nothing gives 1 / C, which is more than that for up to 148 classes."""


def attention_weighted_loss(
    cosine: Tensor,
    logits: Tensor,
    labels: Tensor,
    regions: Tensor,
    filling_rates: Tensor,
    *,
    rate_weight: float = RATE_WEIGHT,
    temperature: float = 20.0,
    lam: float = 0.1,
    ignore_index: int = 255,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """L_fg + L_bg + rate_weight * L_fr + lam * L_M.

    L_fg is the cross-entropy of each class in its boxes, weighted by its attention; L_bg the cross-entropy outside all
    boxes; L_fr keeps attention at the class's filling rate (``attention_terms``). L_M, the cross-entropy to the labels
    M, is what the paper trains with before it turns to attention; here it stays, with a small weight.

    Args:
        cosine: (N, C, H, W) in [-1, 1].
        logits: (N, C - 1, H, W); their sigmoid is the attention alpha of classes 1 to C - 1.
        labels: (N, H, W) int64, M.
        regions: bool (N, C, H, W), where each class may be: B, the filled boxes, for classes from 1 on.
        filling_rates: (C,) in 0..1, mean over a class's boxes of the share that is the object; entry 0 is not used.
        rate_weight: Weight of L_fr.
        temperature: Factor on the cosines before the softmax.
        lam: Weight of L_M.
        ignore_index: Label of the pixels that do not count.
        all_reduce: Sums a number over the processes that share the batch.

    Raises:
        SettingsError: Shapes or types do not fit, or a number is out of range.
    """
    check_labels(cosine, labels=labels)
    check_regions(cosine, regions)
    check_numbers(temperature, lam=lam)
    check_rates(cosine, filling_rates)
    exact = working_type(cosine)
    inside = regions[:, 1:]
    surprise = -F.log_softmax(temperature * cosine.to(exact), 1)[:, 1:]
    weighted, missing, count = attention_terms(surprise, logits.to(exact).sigmoid(), inside, filling_rates[1:])
    pairs = all_reduce(count).clamp(min=1)
    background = labels.new_zeros(()).where((labels != ignore_index) & ~inside.any(1), ignore_index)
    on_background, on_labels = (
        partial_cross_entropy(cosine, target, temperature=temperature, ignore_index=ignore_index, all_reduce=all_reduce)
        for target in (background, labels)
    )
    return weighted / pairs + on_background + rate_weight * missing / pairs + lam * on_labels


def attention_terms(
    surprise: Tensor, attention: Tensor, inside: Tensor, filling_rates: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """L_fg and L_fr, summed over the pairs of an image and a class with boxes in it, and the number of pairs.

    For class c with boxes B of one image, L_fg is sum(alpha * B * surprise) / sum(B), and L_fr is
    max(0, eta - sum(alpha * B) / sum(B)) with eta the class's filling rate.

    Args:
        surprise: (N, L, H, W), -log H_c of classes 1 to L.
        attention: (N, L, H, W) in 0..1.
        inside: bool (N, L, H, W), the boxes of each class.
        filling_rates: (L,) in 0..1.
    """
    area = inside.sum((2, 3))
    there, pixels = area > 0, area.clamp(min=1)
    in_boxes = attention * inside
    weighted = (in_boxes * surprise).sum((2, 3)) / pixels
    missing = (filling_rates.to(attention) - in_boxes.sum((2, 3)) / pixels).clamp(min=0)
    return weighted.where(there, 0).sum(), missing.where(there, 0).sum(), there.sum()
