"""Opening photographs: every mode becomes RGB uint8 by a stated rule, upright."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from bana.data.records import ImageRecord
from bana.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""File name endings (lower case) that are taken for images."""

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = 1
_TRANSPOSED = {5, 6, 7, 8}
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, struct.error, zlib.error)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels after EXIF orientation, from the file's header alone.

    Raises:
        DataError: If the file is missing or is not an image.
    """
    with opened_image(path) as image:
        width, height = image.size
        return (height, width) if _orientation(image) in _TRANSPOSED else (width, height)


def is_upright(path: Path) -> bool:
    """Whether the file's pixels are stored upright, so that a reader that ignores EXIF sees the same image.

    Raises:
        DataError: If the file is missing or is not an image.
    """
    with opened_image(path) as image:
        return _orientation(image) in (None, _UPRIGHT)


def open_image(path: Path) -> npt.NDArray[np.uint8]:
    """Read an image upright, as RGB.

    EXIF orientation is applied. Grayscale is repeated over three channels. 16-bit and 32-bit integer grayscale is
    scaled by 1/257 (the 16-bit range to 0..255); floating point is taken as 0..1 where its maximum is at most 1 and
    as 0..255 otherwise. CMYK and YCbCr are converted by Pillow. Palette colours are looked up. Alpha is composed over
    white. Of an animation the first frame is taken.

    Returns:
        uint8 (H, W, 3).

    Raises:
        DataError: If the file is missing, truncated, too large (a decompression bomb) or not an image.
    """
    with opened_image(path) as image:
        return np.array(_to_rgb(ImageOps.exif_transpose(image)), dtype=np.uint8)


def open_record_image(record: ImageRecord) -> npt.NDArray[np.uint8]:
    """The record's photograph, uint8 (H, W, 3).

    Raises:
        DataError: As open_image, and if the size is not the one that the annotation states.
    """
    image = open_image(record.path)
    check_size(record, (image.shape[1], image.shape[0]))
    return image


def check_size(record: ImageRecord, size: tuple[int, int]) -> None:
    """Compare the (width, height) of a record's image file with what the annotation states.

    Raises:
        DataError: If they differ.
    """
    if size != (record.width, record.height):
        raise DataError(
            f"{record.path}: image is {size[0]}x{size[1]} but its annotation says {record.width}x{record.height}; "
            "correct the annotation, or the image's EXIF orientation"
        )


@contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file with Pillow; what fails inside the block because the file is damaged is a DataError too.

    Raises:
        DataError: If the file is missing, damaged, too large (a decompression bomb) or not an image.
    """
    with _opened(path) as image:
        try:
            yield image
        except _DAMAGED as error:
            raise DataError(f"{path}: image is damaged or truncated ({error}); replace the file") from error


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: image not found; restore the file or remove it from the list") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path}: image has too many pixels ({error}); scale it down") from error
    except _DAMAGED as error:  # UnidentifiedImageError is an OSError
        raise DataError(f"{path}: not a readable image ({type(error).__name__}); replace the file") from error


def _orientation(image: Image.Image) -> int | None:
    # A PNG's own getexif would decode all its pixels to find an EXIF chunk after them.
    return Image.Image.getexif(image).get(_EXIF_ORIENTATION)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I", "I;16", "I;16L", "I;16B", "I;16N"}:
        values = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.rint(values / 257.0), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image).astype(np.float64))
        scale = 255.0 if values.max(initial=0.0) <= 1.0 else 1.0
        return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
