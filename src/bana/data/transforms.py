"""Random transforms of photographs together with the masks and boxes that lie on them."""

from __future__ import annotations

from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2


def randomly_scaled(scale_range: tuple[float, float], *items: Any) -> tuple[Any, ...]:
    """An image, and what lies on it, scaled by one random factor.

    Args:
        scale_range: Least and greatest factor.
        items: tv_tensors of one size (H, W), the image first.
    """
    factor = float(torch.empty(()).uniform_(*scale_range))
    height, width = (max(round(side * factor), 1) for side in items[0].shape[-2:])
    resized: tuple[Any, ...] = v2.Resize([height, width], antialias=True)(*items)
    return resized


def random_crop(crop_size: int, color_jitter: float, *, image_fill: int, mask_fill: int) -> v2.Compose:
    """A transform of tv_tensors of one size: random flip, crop and color.

    Args:
        crop_size: Side of the crop in pixels; smaller images are padded.
        color_jitter: Strength of random brightness, contrast and saturation, 0..1.
        image_fill: Padding of images, 0..255.
        mask_fill: Padding of masks.
    """
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomCrop(crop_size, pad_if_needed=True, fill={tv_tensors.Mask: mask_fill, "others": image_fill}),
            v2.ColorJitter(color_jitter, color_jitter, color_jitter),
        ]
    )
