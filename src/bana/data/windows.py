"""Images read by windows, so that one that is too large for memory can be seen part by part.

This works for TIFF files of whole numbers without alpha, where tifffile is installed. They may hold strips or tiles,
unpacked or packed without loss (LZW, Deflate, PackBits, LZMA or Zstandard). A PNG or JPEG can only be unpacked from its
beginning. So for all other files the whole image is kept, 3 bytes a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bana.data import tiff
from bana.data.images import check_size, image_size, lacks_bands, open_record_image, opened_image
from bana.data.pixel_values import values_to_rgb
from bana.data.records import ImageRecord
from bana.data.reduction import block_means
from bana.data.tiff_windows import TiffWindows, tiff_windows
from bana.errors import DataError

Pixels = npt.NDArray[np.uint8]
Place = tuple[slice, slice]

_AS_STORED = {"RGB": (8, 3), "L": (8, 1), "I;16": (16, 1), "I;16B": (16, 1)}
"""Bits and bands of TIFF files that Pillow reads as they are, by its name for them."""

_STRIP = 2**22
"""Pixels to reduce at a time."""


class ImageWindows(Protocol):
    """An image whose pixels are read by windows."""

    @property
    def size(self) -> tuple[int, int]:
        """H and W, in pixels."""

    def read(self, place: Place) -> Pixels:
        """The pixels at some rows and columns: RGB uint8 (h, w, 3).

        Raises:
            DataError: If the file is damaged there.
        """


@dataclass(frozen=True, eq=False)
class WholeImage:
    """An image that is in memory.

    Attributes:
        pixels: RGB uint8 (H, W, 3).
    """

    pixels: Pixels

    @property
    def size(self) -> tuple[int, int]:
        """H and W, in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def read(self, place: Place) -> Pixels:
        """The pixels at some rows and columns: RGB uint8 (h, w, 3)."""
        return np.ascontiguousarray(self.pixels[place])


@dataclass(frozen=True, eq=False)
class _TiffImage:
    """An image whose file is read by windows, by the record's rules."""

    record: ImageRecord
    windows: TiffWindows

    @property
    def size(self) -> tuple[int, int]:
        return self.record.height, self.record.width

    def read(self, place: Place) -> Pixels:
        return values_to_rgb(self.windows.read(place), self.record.values, str(self.record.path))


@contextmanager
def open_windows(record: ImageRecord) -> Iterator[ImageWindows]:
    """Open a record's image to read it by windows; see the module for those that are in memory as a whole instead.

    What is read is what ``open_record_image`` has there.

    Raises:
        DataError: As ``open_record_image``.
    """
    check_size(record, image_size(record.path))
    with tiff_windows(record.path) if tiff.is_readable(record.path) else nullcontext() as windows:
        if windows is not None and _is_read_alike(record, windows):
            yield _TiffImage(record, windows)
        else:
            yield WholeImage(open_record_image(record))


def _is_read_alike(record: ImageRecord, windows: TiffWindows) -> bool:
    """Whether a window of a TIFF's values gives the colors that it has in the whole image."""
    if not record.values.is_default:
        return record.values.range != "data"  # which looks at all of them
    try:
        with opened_image(record.path) as image:
            return lacks_bands(image) or _AS_STORED.get(image.mode) == (windows.bits, windows.bands)
    except DataError:  # Pillow does not know it, so that open_image goes by values too
        return True


def read_reduced(image: ImageWindows, place: Place, block: int) -> Pixels:
    """Read a window by blocks of ``block`` x ``block`` pixels, each their mean: uint8 (ceil(h / block), ..., 3)."""
    if block == 1:
        return image.read(place)
    rows, columns = place
    step = max(_STRIP // ((columns.stop - columns.start) * block), 1) * block
    return np.concatenate(
        [
            block_means(image.read((slice(top, min(top + step, rows.stop)), columns)), (block, block))
            for top in range(rows.start, rows.stop, step)
        ]
    )
