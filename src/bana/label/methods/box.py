"""``box``: the rectangle, the baseline of every other way (Table 1: Box)."""

from __future__ import annotations

from bana.data.records import BoolArray
from bana.label.method import BoxedImage, Image


def box_masks(image: Image, boxed: BoxedImage) -> tuple[BoolArray, None]:
    """Every box filled: bool (K, H, W), and no doubt."""
    regions: BoolArray = boxed.regions.numpy()
    return regions, None
