"""Pixels as Pillow has them to RGB uint8, upright."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.pixel_values import Values

TRANSPOSED = {5, 6, 7, 8}
"""The EXIF orientations that swap width and height."""

_BOTTOM_UP = {3, 4, 6, 7}
_RIGHT_TO_LEFT = {2, 3, 7, 8}
_STRIP = 1 << 22
"""Pixels to convert at a time."""


def most_pixels() -> float:
    """The most pixels that an image may have: Pillow's own limit, twice the number from which it only warns."""
    return math.inf if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS


def upright(pixels: Values, orientation: int | None) -> Values:
    """Pixels (H, W, B) turned and mirrored as an EXIF orientation asks for."""
    if orientation in _BOTTOM_UP:
        pixels = pixels[::-1]
    if orientation in _RIGHT_TO_LEFT:
        pixels = pixels[:, ::-1]
    if orientation in TRANSPOSED:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels)


def pixels_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    """The pixels of a loaded image, uint8 (H, W, 3): by strips, or a large image would be in memory several times."""
    width, height = image.size
    rows = max(1, _STRIP // width)
    strips = [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]
    scale = 1.0 / 257.0 if image.mode.startswith("I") else 1.0
    if image.mode in ("F", "I"):  # whose range is not that of the type
        greatest = max(_floats(image.crop(strip)).max(initial=0.0) for strip in strips)
        if image.mode == "F" and greatest <= 1.0:
            scale = 255.0
        elif image.mode == "I" and greatest <= 255:
            scale = 1.0
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for strip in strips:
        pixels[strip[1] : strip[3]] = np.asarray(to_rgb(image.crop(strip), scale))
    return pixels


def _floats(image: Image.Image) -> npt.NDArray[np.float64]:
    return np.nan_to_num(np.asarray(image).astype(np.float64))


def to_rgb(image: Image.Image, scale: float) -> Image.Image:
    """A strip as RGB; ``scale`` is the factor on gray values of more than 8 bits."""
    if image.mode in {"F", "I", "I;16", "I;16L", "I;16B", "I;16N"}:
        return _gray(_floats(image) * scale)
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _gray(values: npt.NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8)).convert("RGB")
