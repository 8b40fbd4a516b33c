"""``box``: the rectangle, the baseline of every other way (Table 1: Box)."""

from __future__ import annotations

from bana.data.records import BoolArray
from bana.label.scene import Scene
from bana.label.source import Image


def box_masks(image: Image, scene: Scene) -> tuple[BoolArray, None]:
    """Every box filled: bool (K, H, W), and no doubt."""
    regions: BoolArray = scene.regions.numpy()
    return regions, None
