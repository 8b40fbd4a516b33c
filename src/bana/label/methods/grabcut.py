"""``grabcut``: GrabCut (Rother et al., 2004) started from the rectangle (Table 1: GrabCut)."""

from __future__ import annotations

import numpy as np

from bana.data.records import BoolArray
from bana.extras import needed
from bana.label.boxes import BoxedImage, Image

ITERATIONS = 5
"""Rounds of color models and graph cut."""

MIN_SHARE = 0.1
"""A segment that fills a smaller share of its box has failed, and the box is used instead."""


class GrabCut:
    """One GrabCut per box: outside the box is background, inside is probably the object.

    Simple Does It replaces the color gradient of the pairwise term by HED boundaries, which need a network trained on
    contours drawn by hand. Here it is OpenCV's own gradient.

    Raises:
        SettingsError: If OpenCV is not installed.
    """

    def __init__(self) -> None:
        self._cv = needed("cv2", "grabcut", "method grabcut")

    def __call__(self, image: Image, boxed: BoxedImage) -> tuple[list[BoolArray], None]:
        """The masks of all boxes, each bool (h, w) of the box's pixels, with full confidence."""
        parts = boxed.empty_parts()
        for number in np.flatnonzero(boxed.usable):
            parts[number] = self._segment(image, boxed.region(int(number)))[boxed.places[number]]
        return parts, None

    def _segment(self, image: Image, inside: BoolArray) -> BoolArray:
        """The object in one box, bool (H, W)."""
        if inside.all():
            return inside  # no background to learn colors from
        cv = self._cv
        trimap = np.where(inside, cv.GC_PR_FGD, cv.GC_BGD).astype(np.uint8)
        background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
        cv.setRNGSeed(0)  # its k-means starts at random
        try:
            cv.grabCut(image[:, :, ::-1], trimap, None, background, foreground, ITERATIONS, cv.GC_INIT_WITH_MASK)
        except cv.error:
            return inside  # fewer pixels inside or outside than color models have components
        mask: BoolArray = trimap == cv.GC_PR_FGD
        return mask if mask.sum() >= MIN_SHARE * inside.sum() else inside
