"""What UpsampledFeatures answers, from the upsampled tensor itself."""

import torch
import torch.nn.functional as F


def upsample(maps, size):
    """(V, h, w) to (V, H, W)."""
    return F.interpolate(maps[None], size, mode="bilinear", align_corners=True)[0]


def dot(features, size, vectors):
    return torch.einsum("vc,chw->vhw", vectors, upsample(features, size))


def masked_sum(features, size, masks):
    return torch.einsum("vhw,chw->vc", masks.to(features), upsample(features, size))


def masked_mean(features, size, masks):
    count = masks.sum((1, 2)).clamp(min=1)
    return masked_sum(features, size, masks) / count[:, None]


def squared_norm(features, size):
    return (upsample(features, size) ** 2).sum(0)


def cosine(features, size, vectors):
    unit = F.normalize(upsample(features, size), dim=0)
    return torch.einsum("vc,chw->vhw", F.normalize(vectors), unit)


def upsampled_cosine(features, size, vectors):
    return upsample(torch.einsum("vc,chw->vhw", F.normalize(vectors), F.normalize(features, dim=0)), size)
