"""Label maps as indexed PNGs: one number a pixel, shown in VOC's colors."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.images import opened_image
from bana.errors import DataError
from bana.io.files import write_bytes

LabelMap = npt.NDArray[np.uint8 | np.uint16]

_STRIP = 1 << 22
"""Pixels to convert at a time."""


def voc_palette() -> npt.NDArray[np.uint8]:
    """VOC's colors of 256 labels, uint8 (256, 3): a label's bits, least first, fill the channels from the top."""
    labels = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for level in range(8):
        for channel in range(3):
            bit = (labels >> (3 * level + channel)) & 1
            palette[:, channel] |= (bit << (7 - level)).astype(np.uint8)
    return palette


def label_map_png(labels: LabelMap) -> bytes:
    """Labels (H, W) as a PNG file: uint8 indexed with VOC's palette, uint16 as 16-bit grayscale."""
    image = Image.fromarray(labels)
    if labels.dtype == np.uint8:
        image.putpalette(voc_palette().tobytes())
    return png(image)


def gray_png(values: npt.NDArray[np.floating]) -> bytes:
    """Values (H, W) in 0..1 as an 8-bit grayscale PNG file."""
    gray = np.empty(values.shape, dtype=np.uint8)
    rows = max(1, _STRIP // values.shape[1])
    for top in range(0, len(values), rows):  # or a large image's would be in memory several times
        gray[top : top + rows] = np.rint(values[top : top + rows] * 255)
    return png(Image.fromarray(gray))


def read_gray(path: Path, width: int, height: int) -> npt.NDArray[np.float32]:
    """Values float32 (H, W) in 0..1 of a file that gray_png encoded. Raises DataError as read_label_map does."""
    return (read_label_map(path, width, height) / np.float32(255)).astype(np.float32)


def png(image: Image.Image) -> bytes:
    """An image as a PNG file."""
    file = BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def write_label_map(path: Path, labels: LabelMap) -> None:
    """Write labels (H, W) as label_map_png encodes them, atomically. Raises OutputError if it cannot be written."""
    write_bytes(path, label_map_png(labels))


def read_label_map(path: Path, width: int, height: int) -> LabelMap:
    """Read an indexed, 8-bit or 16-bit PNG of labels.

    Args:
        path: The PNG file.
        width: That it must have, pixels.
        height: That it must have, pixels.

    Returns:
        uint8 or uint16 (height, width).

    Raises:
        DataError: If the file is missing, damaged, of another size, or has colors instead of labels.
    """
    with opened_image(path) as image:
        if image.size != (width, height):
            raise DataError(
                f"{path}: map is {image.size[0]}x{image.size[1]}, but the image is {width}x{height}; make it anew"
            )
        if image.mode not in {"P", "L", "I;16", "I"}:
            raise DataError(f"{path}: has colors (mode {image.mode}), not labels; save it as an indexed PNG")
        labels = np.array(image)
    if labels.dtype == np.uint8:
        return labels
    if labels.min() < 0 or labels.max() > 65535:
        raise DataError(f"{path}: has labels beyond 65535; save it with 16 bits")
    return labels.astype(np.uint16)
