"""Features at image resolution that are never built.

Bilinear upsampling is linear, so all that labeling asks of the upsampled features is exact at low resolution:

- a dot product with a vector commutes with the upsampling;
- a sum over a pixel mask is the features contracted with the adjoint upsampling of the mask;
- the squared norm of a pixel is a quadratic form in its four neighbors, whose Gram entries are a few small maps.

For 1024 channels at 375 x 500 this replaces a tensor of 768 MB.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TINY = 1e-12
"""Stands for the length of a zero vector."""

_BLOCK = 64
"""Channels that are multiplied at once: a product of all of them would be as large as the features again."""


class UpsampledFeatures:
    """A feature map as if it were upsampled bilinearly (align_corners) to H x W.

    Args:
        features: (C, h, w) of floating point.
        size: (H, W), the image's size in pixels.
    """

    def __init__(self, features: Tensor, size: tuple[int, int]) -> None:
        self.features = features
        self.size = size
        self._down = interpolation_matrix(features.shape[1], size[0]).to(features)
        self._across = interpolation_matrix(features.shape[2], size[1]).to(features)

    def dot(self, vectors: Tensor) -> Tensor:
        """Dot product of every pixel's feature with vectors (V, C): (V, H, W)."""
        return self._upsample(torch.einsum("vc,chw->vhw", vectors, self.features))

    def sum(self, masks: Tensor) -> Tensor:
        """Sum of the pixels' features, weighted by masks (V, H, W) of bool or floating point: (V, C)."""
        low = self._down.T @ masks.to(self.features) @ self._across
        return torch.einsum("vhw,chw->vc", low, self.features)

    def mean(self, masks: Tensor) -> Tensor:
        """Mean of the pixels' features under masks (V, H, W), zero for an empty mask: (V, C)."""
        weight = masks.to(self.features).sum((1, 2)).clamp(min=1.0)
        return self.sum(masks) / weight.unsqueeze(1)

    def norm(self) -> Tensor:
        """Euclidean norm of every pixel's feature: (H, W)."""
        return self.squared_norm().clamp(min=0.0).sqrt()

    def squared_norm(self) -> Tensor:
        """Squared Euclidean norm of every pixel's feature, from products of neighboring features alone: (H, W)."""
        f = self.features
        square = _products(f, f)
        right = _products(f[:, :, :-1], f[:, :, 1:])
        below = _products(f[:, :-1], f[:, 1:])
        diagonals = _products(f[:, :-1, :-1], f[:, 1:, 1:]) + _products(f[:, :-1, 1:], f[:, 1:, :-1])
        within = _quadratic_across(self._across, square, right)  # of one row with itself: (h, W)
        between = _quadratic_across(self._across, below, diagonals / 2)  # of a row with the next: (h - 1, W)
        return _quadratic_across(self._down, within.T, between.T).T

    def cosine(self, vectors: Tensor) -> Tensor:
        """Cosine of every pixel's feature with vectors (V, C): (V, H, W); 0 where either is the zero vector."""
        return self.dot(F.normalize(vectors)) / self.norm().clamp(min=_TINY)

    def upsampled_cosine(self, vectors: Tensor) -> Tensor:
        """Cosine of every cell's feature with vectors (V, C), upsampled (the paper's footnote 3): (V, H, W)."""
        low = torch.einsum("vc,chw->vhw", F.normalize(vectors), F.normalize(self.features, dim=0))
        return self._upsample(low)

    def _upsample(self, maps: Tensor) -> Tensor:
        """(V, h, w) to (V, H, W)."""
        return self._down @ maps @ self._across.T


def interpolation_matrix(source: int, target: int) -> Tensor:
    """The linear map of one axis of a bilinear upsampling with align_corners: float64 (target, source)."""
    position = torch.linspace(0, source - 1, target, dtype=torch.float64) if target > 1 else torch.zeros(1).double()
    left = position.floor().clamp(max=max(source - 2, 0)).long()
    fraction = position - left
    matrix = torch.zeros(target, source, dtype=torch.float64)
    matrix.scatter_(1, left.unsqueeze(1), (1 - fraction).unsqueeze(1))
    if source > 1:
        matrix.scatter_(1, left.unsqueeze(1) + 1, fraction.unsqueeze(1))
    return matrix


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


def _products(first: Tensor, second: Tensor) -> Tensor:
    """Dot products over the channels of two (C, h, w): (h, w)."""
    blocks = [slice(begin, begin + _BLOCK) for begin in range(0, len(first), _BLOCK)]
    return torch.stack([(first[block] * second[block]).sum(0) for block in blocks]).sum(0)


def _quadratic_across(weights: Tensor, square: Tensor, neighbor: Tensor) -> Tensor:
    """Sum over i, j of w_i w_j g_ij along the last axis, where only equal and adjacent i, j have weight.

    Args:
        weights: (T, s) interpolation matrix: each row holds at most two adjacent non-zeros.
        square: (n, s), g_ii.
        neighbor: (n, s - 1), g_i,i+1, symmetric.

    Returns:
        (n, T).
    """
    return square @ (weights * weights).T + 2.0 * neighbor @ (weights[:, :-1] * weights[:, 1:]).T
