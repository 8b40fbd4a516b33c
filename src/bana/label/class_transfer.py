"""Which class each box has by a classifier that was trained for other classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bana.classify.pooling import background_attention, background_aware_pool, background_queries, feature_boxes
from bana.label.boxes import BoxedImage


def predicted_classes(
    boxed: BoxedImage, features: Tensor, weights: Tensor, roi_bins: int, trained_ids: Sequence[int | None]
) -> list[int | None]:
    """The class of every box by the classifier: 0 background, None if it is none of the classes that are labeled.

    The classifier has no say on boxes of classes that it does not know: None.

    Args:
        boxed: The image's boxes.
        features: (1, C, h, w) of the image; channels beyond those of the weights do not count.
        weights: (L' + 1, C), those of the background and of the classes that the classifier was trained for.
        roi_bins: R, as it was trained.
        trained_ids: L ids among the trained classes, 1..L', of the classes that are labeled; None for a
            class that it does not know.
    """
    if not len(boxed.boxes):
        return []
    features = features[:, : weights.shape[1]]  # f alone, as the classifier was trained
    size = (features.shape[2], features.shape[3])
    background_mask = F.interpolate(boxed.background_mask[None, None].float(), size, mode="nearest-exact")
    attention = background_attention(features, *background_queries(features, background_mask, grid_size=1))
    boxes = F.pad(feature_boxes(torch.from_numpy(boxed.boxes), boxed.size, size), (1, 0))
    pooled = background_aware_pool(features, attention, boxes, roi_bins).mean((2, 3))
    targets: dict[int, int] = {0: 0}
    for label, trained in enumerate(trained_ids, start=1):
        if trained is not None:
            targets.setdefault(trained, label)
    found = F.linear(pooled, weights).argmax(1).tolist()
    is_known = [trained_ids[class_id - 1] is not None for class_id in boxed.class_ids]
    return [targets.get(trained) if known else None for trained, known in zip(found, is_known, strict=True)]
