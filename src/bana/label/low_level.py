"""Features of two depths side by side, so that a cosine between them sees both."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def concat_low_level(features: Tensor, finest: Tensor, weight: float) -> Tensor:
    """Append a backbone's finest map to the features that are learned from all its depths.

    Features of a head say what a thing is and blur its outline; the finest map knows edges and textures. The finest map
    is centered on its mean over the image, or its cosines would all be near 1, and every cell gets ``weight`` times the
    length that f has there. Between two cells, the new cosine is (cos f + weight^2 cos g) / (1 + weight^2), g being the
    centered map.

    Args:
        features: f (1, C, h, w).
        finest: (1, D, h', w') of the same image.
        weight: 0 leaves f as it is.

    Returns:
        (1, C + D, h, w), or f itself.
    """
    if not weight:
        return features
    if finest.shape[2:] != features.shape[2:]:
        finest = F.interpolate(finest, features.shape[2:], mode="bilinear", align_corners=True)
    centered = F.normalize(finest - finest.mean((2, 3), keepdim=True), dim=1)
    return torch.cat([features, weight * features.norm(dim=1, keepdim=True) * centered], dim=1)
