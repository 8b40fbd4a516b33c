"""TIFF files with all their bands and bits, which Pillow does not read: through tifffile, where that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bana.data.pixel_values import Values
from bana.data.rgb import most_pixels
from bana.errors import DataError

SUFFIXES = (".tif", ".tiff")
_ORIENTATION = "Orientation"


def is_readable(path: Path) -> bool:
    """Whether a file is called a TIFF, and tifffile is installed."""
    return path.suffix.lower() in SUFFIXES and find_spec("tifffile") is not None


def tiff_header(path: Path) -> tuple[tuple[int, int], int]:
    """Width and height as stored, in pixels, and the EXIF orientation.

    Raises:
        DataError: If the file is damaged or no TIFF.
    """
    with _opened(path) as file:
        page = file.pages[0]
        tag = page.tags.get(_ORIENTATION)
        return (page.imagewidth, page.imagelength), 1 if tag is None else int(tag.value)


def tiff_values(path: Path) -> Values:
    """The values as stored, (H, W, B): the samples of the first page, or the pages that are its channels.

    Raises:
        DataError: If the file is damaged, no TIFF, or has too many pixels.
    """
    with _opened(path) as file:
        page = file.pages[0]
        if page.imagewidth * page.imagelength > most_pixels():
            raise DataError(f"{path}: image has too many pixels ({page.imagewidth}x{page.imagelength}); scale it down")
        if page.samplesperpixel > 1:
            values = page.asarray()
            return np.moveaxis(values, 0, -1) if page.axes.startswith("S") else values
        return np.stack([each.asarray() for each in _channels(file)], axis=-1)


def _channels(file: Any) -> list[Any]:
    """The pages that hold the channels of the first frame; the first page alone where channels are not told apart."""
    series = file.series[0]
    if "C" not in series.axes or len(series.pages) != np.prod(series.shape[:-2]):
        return [file.pages[0]]
    numbers = np.arange(len(series.pages)).reshape(series.shape[:-2])
    for axis in reversed(range(numbers.ndim)):
        if series.axes[axis] != "C":
            numbers = numbers.take(0, axis)
    return [series.pages[int(number)] for number in numbers]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import tifffile

    with tiff_damage(path), tifffile.TiffFile(path) as file:
        yield file


@contextmanager
def tiff_damage(path: Path) -> Iterator[None]:
    """Turn what tifffile raises within the block for a damaged file to a DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # a damaged file makes tifffile raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: image is damaged or truncated ({reason:.200}); replace the file") from error
