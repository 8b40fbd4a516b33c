"""Opening photographs: every mode becomes RGB uint8 by a stated rule, upright."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from bana.data import tiff
from bana.data.pixel_values import BY_TYPE, PixelValues, Values, values_to_rgb
from bana.data.records import ImageRecord
from bana.data.rgb import TRANSPOSED, pixels_of, to_rgb, upright
from bana.data.videos import frame_of
from bana.errors import DataError

SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".jfif", ".jpe", ".mpo", ".gif", ".jp2", ".j2k"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".dib", ".avif", ".heic", ".heif"),
)
"""File name endings (lower case) that are taken for images; the last two need the package pillow-heif."""

DAMAGED = (
    *(OSError, ValueError, SyntaxError, EOFError, TypeError, LookupError, AttributeError, RuntimeError, MemoryError),
    *(OverflowError, ZeroDivisionError, struct.error, zlib.error),
)
"""What Pillow raises for a file that is not as it should be."""

MAX_SIDE = 1_000_000
"""Pixels; Pillow keeps an address for every row, so that a longer image of one column takes gigabytes."""

_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""Of photographs. Pillow knows more, and starts Ghostscript where a file called a.jpg is PostScript."""

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = 1
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_SAMPLES = 256, 257, 277


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels after EXIF orientation, from the file's header alone.

    Raises:
        DataError: If the file is missing or is not an image.
    """
    (width, height), orientation = _header(path)
    return (height, width) if orientation in TRANSPOSED else (width, height)


def is_upright(path: Path) -> bool:
    """Whether the file's pixels are stored upright, so that a reader that ignores EXIF sees the same image.

    Raises:
        DataError: If the file is missing or is not an image.
    """
    return _header(path)[1] in (None, _UPRIGHT)


def _header(path: Path) -> tuple[tuple[int, int], int | None]:
    """Width and height as stored, and EXIF orientation."""
    try:
        with opened_image(path) as image:
            return _stored_size(image), _orientation(image)
    except DataError as error:
        if not _is_for_tifffile(path, error):
            raise
        return tiff.tiff_header(path)


def _is_for_tifffile(path: Path, error: DataError) -> bool:
    """Whether a file that Pillow does not know is to be read as a TIFF: one of five bands, or of 16-bit color."""
    return isinstance(error.__cause__, UnidentifiedImageError) and tiff.is_readable(path)


def open_image(path: Path, values: PixelValues = BY_TYPE) -> npt.NDArray[np.uint8]:
    """Read an image upright, as RGB.

    EXIF orientation is applied. Grayscale is repeated over three channels. 16-bit and 32-bit integer grayscale is
    scaled by 1/257 (the 16-bit range to 0..255), but not 32-bit grayscale of at most 255; floating point is taken as
    0..1 where its maximum is at most 1 and as 0..255 otherwise. CMYK and YCbCr are converted by Pillow. Palette colors
    are looked up. Alpha is composed over white. Of an animation the first frame is taken. A TIFF that Pillow does not
    know, such as one of five bands, is read with tifffile where that is installed.

    Args:
        path: The file.
        values: Another range or other bands than these rules take.

    Returns:
        uint8 (H, W, 3).

    Raises:
        DataError: If the file is missing, truncated, too large (a decompression bomb) or not an image, or lacks a band.
    """
    if not values.is_default:
        return values_to_rgb(_stored_values(path), values, str(path))
    try:
        with opened_image(path) as image:
            if not lacks_bands(image):
                return _upright_rgb(image)
    except DataError as error:
        if not _is_for_tifffile(path, error):
            raise
    return values_to_rgb(_stored_values(path), values, str(path))


def lacks_bands(image: Image.Image) -> bool:
    """Whether Pillow takes a TIFF of several bands for gray, as it does where each band has a plane of its own."""
    samples = getattr(image, "tag_v2", {}).get(_TIFF_SAMPLES, 1)
    return samples > len(image.getbands()) == 1 and tiff.is_readable(Path(str(image.filename)))  # type: ignore[attr-defined]


def _stored_values(path: Path) -> Values:
    """The values of an image file as it has them, upright: (H, W, B)."""
    if path.is_file() and tiff.is_readable(path):
        return upright(tiff.tiff_values(path), tiff.tiff_header(path)[1])
    with opened_image(path) as image:
        if image.mode in ("RGB", "RGBA") and ";16" in str(getattr(image, "tile", "")):
            remedy = "save it as TIFF, and pip install '.[tiff]' in bana's folder"
            raise DataError(f"{path}: is 16-bit color, of which Pillow reads 8 bits; {remedy}")
        orientation = _load(image)
        return upright(_bands_of(image), orientation)


def _bands_of(image: Image.Image) -> Values:
    """The values of a loaded image, (H, W, B); palettes are looked up."""
    if image.mode in ("P", "PA", "1"):
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    values: Values = np.asarray(image)
    return values[:, :, None] if values.ndim == 2 else values


def open_record_image(record: ImageRecord) -> npt.NDArray[np.uint8]:
    """The record's photograph, uint8 (H, W, 3).

    Raises:
        DataError: As open_image, and if the size is not the one that the annotation states.
    """
    if record.is_in_video and record.frame is not None:
        image = frame_of(record.path, record.frame.number)
    else:
        image = open_image(record.path, record.values)
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
    with _opened(path) as image, _damage_of(path):
        yield image


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=_formats())
    except FileNotFoundError as error:
        raise DataError(f"{path}: image not found; restore the file or remove it from the list") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: image has too many pixels ({error}); scale it down") from error
    except DAMAGED as error:  # UnidentifiedImageError is an OSError
        raise DataError(f"{path}: not a readable image ({type(error).__name__}); replace the file") from error
    if max(image.size) > MAX_SIDE:
        image.close()
        raise DataError(f"{path}: image is {image.width}x{image.height}; cut it to sides of at most {MAX_SIDE}")
    return image


@cache
def _formats() -> tuple[str, ...]:
    """Those of _FORMATS that this Pillow knows, with pillow-heif's where that is installed."""
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _orientation(image: Image.Image) -> int | None:
    # A PNG's own getexif would decode all its pixels to find an EXIF chunk after them.
    return Image.Image.getexif(image).get(_EXIF_ORIENTATION)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height before orientation; some versions of Pillow state those of a TIFF after it."""
    tags = getattr(image, "tag_v2", None)
    return image.size if tags is None else (tags[_TIFF_WIDTH], tags[_TIFF_HEIGHT])


AnyImage = npt.NDArray[Any] | Image.Image | str | PathLike[str]
"""An image in any form that ``as_rgb`` takes."""


def as_rgb(image: AnyImage, values: PixelValues = BY_TYPE) -> npt.NDArray[np.uint8]:
    """Convert an image in any common form to RGB, by the rules of ``open_image``.

    Args:
        image: A path; a PIL image, whose EXIF orientation is applied; or an array of uint8 or uint16 (the 16-bit
            range), which is gray (H, W) or (H, W, 1), RGB (H, W, 3) or RGBA (H, W, 4). Colors are in RGB order. OpenCV
            reads BGR, which no program can tell from RGB: give it as ``image[..., ::-1]``.
        values: How a file is read. PIL images and arrays are taken to be RGB already.

    Returns:
        uint8 (H, W, 3) that may be written to; the array itself where it is one already.

    Raises:
        DataError: If it is none of these, or a file that open_image refuses.
    """
    if isinstance(image, str | PathLike):
        return open_image(Path(image), values)
    if isinstance(image, Image.Image):
        with _damage_of(getattr(image, "filename", "") or "image"):
            return _upright_rgb(image)
    pixels = np.asarray(image)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in pixels.shape:
        raise DataError(f"image: has shape {pixels.shape}; give (height, width, 3) RGB, (height, width) or a path")
    if pixels.dtype.kind != "u" or pixels.dtype.itemsize > 2:
        raise DataError(f"image: is {pixels.dtype}; give uint8 in 0..255, or uint16")
    if pixels.dtype.itemsize == 2:
        pixels = np.rint(pixels / 257).astype(np.uint8)
    if channels == 4:
        pixels = np.asarray(to_rgb(Image.fromarray(pixels), 1.0))
    elif channels == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    return np.require(pixels, requirements=["C", "W"])


@contextmanager
def _damage_of(source: Path | str) -> Iterator[None]:
    """Turn what Pillow raises within the block for a damaged file to a DataError."""
    try:
        yield
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{source}: image is damaged or truncated ({reason}); replace the file") from error


def _upright_rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    orientation = _load(image)
    return upright(pixels_of(image), orientation)


def _load(image: Image.Image) -> int | None:
    """Decode an image; returns the EXIF orientation that its pixels still have."""
    orientation = _orientation(image)
    image.load()
    return _orientation(image) if image.format == "TIFF" else orientation  # Pillow may have turned it
