"""Objects whose masks are known: made-up shapes, and cutouts of other images, pasted into a photograph.

Labels are coarse along outlines and wrong in places. Of what was pasted every pixel is known, so that a network learns
from it to follow outlines, whatever the object is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from bana.data.masks import mask_bounds
from bana.data.records import BoolArray
from bana.refine.occlusion import BoxedObject, Cutout, Picture, cut_out, with_cutout
from bana.refine.targets import SURE, BoxTarget

_OUTLINE = 256
"""Points of a smooth outline."""

_WAVES = (2, 7)
"""Least number of waves around an outline, and the first that it never has."""

_ANGULAR = 0.3
"""Share of the shapes that are polygons of three to six corners."""

_CUT = 0.5
"""Share of the shapes that a straight side of the box cuts off."""

_PHOTOGRAPHIC = 0.7
"""Share of the shapes that show a part of a photograph; the others are of one color with soft changes and noise."""

_LEAST_SIDE = 16
"""Least width and height of what is seen of an object, in pixels; less teaches nothing."""


def pasted(image: Picture, cutout: Cutout, side: int, center: tuple[int, int]) -> BoxedObject | None:
    """An image with an object pasted into it, what is known of the object, and its tight box.

    Args:
        image: RGB uint8 (H, W, 3).
        cutout: The object.
        side: Its longer side, in pixels of the image.
        center: Row and column of its center.

    Returns:
        The box, whose target is the mask of what is pasted, known everywhere; None if too little of it is in the image.
    """
    composed, mask = with_cutout(image, cutout, side, center)
    if min(mask.any(0).sum(), mask.any(1).sum()) < _LEAST_SIDE:
        return None
    target = BoxTarget(mask.astype(np.uint8) * np.uint8(255), np.full(mask.shape, SURE, dtype=np.uint8))
    return BoxedObject(composed, target, mask_bounds(mask))


def made_up_object(generator: np.random.Generator, side: int, photograph: Picture) -> Cutout:
    """A made-up object: a shape filled with a part of a photograph, or with a color.

    Args:
        generator: Where chance comes from.
        side: Its longer side in pixels, at least 8.
        photograph: RGB uint8 (H, W, 3), not the one that the object is pasted into.
    """
    mask = _shape(generator, side)
    if generator.random() < _PHOTOGRAPHIC:
        filled = _part_of(generator, photograph, (mask.shape[0], mask.shape[1]))
    else:
        filled = _colored(generator, (mask.shape[0], mask.shape[1]))
    return cut_out(filled, mask)


def _shape(generator: np.random.Generator, side: int) -> BoolArray:
    """A shape (side, side): an outline around a center, smooth or angular, squeezed, turned, and perhaps cut."""
    angles = np.linspace(0, 2 * np.pi, _OUTLINE, endpoint=False)
    radii, rough = np.ones(_OUTLINE), generator.uniform(0, 0.5)
    for wave in range(1, int(generator.integers(*_WAVES)) + 1):
        radii += rough * generator.normal() / wave * np.cos(wave * angles + generator.uniform(0, 2 * np.pi))
    radii = radii.clip(0.15)
    points = np.stack([radii * np.cos(angles), radii * np.sin(angles) * generator.uniform(0.3, 1)])
    if generator.random() < _ANGULAR:
        points = points[:, np.sort(generator.choice(_OUTLINE, int(generator.integers(3, 7)), replace=False))]
    turn = generator.uniform(0, 2 * np.pi)
    x, y = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ points
    corners = [(each - each.min()) / max(float(np.ptp(each)), 1e-6) * (side - 1) for each in (x, y)]
    canvas = Image.new("L", (side, side))
    ImageDraw.Draw(canvas).polygon([*zip(*(each.tolist() for each in corners), strict=True)], fill=255)
    shape: BoolArray = np.asarray(canvas) > 0
    if generator.random() < _CUT:
        kept = shape[: max(int(side * generator.uniform(0.4, 1)), 1)]
        kept = kept if generator.random() < 0.5 else kept.T
        return kept if kept.any() else shape
    return shape


def _part_of(generator: np.random.Generator, photograph: Picture, size: tuple[int, int]) -> Picture:
    """A part of a photograph, 1 to 2.5 times as large as wanted where there is so much, scaled to (h, w)."""
    scale = generator.uniform(1, 2.5)
    height, width = (min(round(scale * part), whole) for part, whole in zip(size, photograph.shape, strict=False))
    top = int(generator.integers(photograph.shape[0] - height + 1))
    left = int(generator.integers(photograph.shape[1] - width + 1))
    part = Image.fromarray(photograph[top : top + height, left : left + width])
    return np.asarray(part.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _colored(generator: np.random.Generator, size: tuple[int, int]) -> Picture:
    """One color, mixed with up to two fifths of others that change softly, with noise: (h, w, 3)."""
    patches = Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    soft: npt.NDArray[np.float64] = np.asarray(patches.resize((size[1], size[0]), Image.Resampling.BICUBIC), float)
    share, noise = generator.uniform(0, 0.4), generator.uniform(0, 25) * generator.standard_normal((*size, 1))
    mixed = (1 - share) * generator.integers(0, 256, 3) + share * soft + noise
    return mixed.clip(0, 255).astype(np.uint8)
