"""Windows of a TIFF file: only the strips or tiles that they touch are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from bana.data.pixel_values import Values
from bana.data.tiff import tiff_damage, tiff_header

_LOSSLESS = {"NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "LZMA", "ZSTD"}
_COLORS = {"MINISBLACK", "RGB"}
_SEPARATE = 2
_KEPT = 2**27
"""Bytes of unpacked strips or tiles that are kept for the windows to come."""


@contextmanager
def tiff_windows(path: Path) -> Iterator[TiffWindows | None]:
    """Open a TIFF file to read windows of it; None if it is not stored in a way that TiffWindows knows.

    Raises:
        DataError: If the file is damaged or no TIFF.
    """
    import tifffile

    with tiff_damage(path):
        file = tifffile.TiffFile(path)
    with file:
        with tiff_damage(path):
            known = _is_known(file) and tiff_header(path)[1] == 1
            windows = TiffWindows(path, file) if known else None
        yield windows


def _is_known(file: Any) -> bool:
    """Whether a file has one page of whole numbers of 8 or 16 bits, packed without loss."""
    page = file.pages[0]
    return bool(
        getattr(page.compression, "name", "") in _LOSSLESS
        and getattr(page.photometric, "name", "") in _COLORS
        and page.bitspersample in (8, 16)
        and page.dtype.kind == "u"
        and page.imagedepth == 1
        and (page.samplesperpixel > 1 or "C" not in file.series[0].axes)
    )


class TiffWindows:
    """The first page of a TIFF file, of which windows are read.

    Args:
        path: The file, for messages.
        file: The file as tifffile has it open.

    Attributes:
        bits: Of a value.
        bands: B.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._page = path, file.pages[0]
        page = self._page
        self.bits, self.bands = 8 * page.dtype.itemsize, int(page.samplesperpixel)
        rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
        self._side = rows, page.tilewidth if page.is_tiled else page.imagewidth
        self._grid = ceil(page.imagelength / self._side[0]), ceil(page.imagewidth / self._side[1])
        self._planes = self.bands if page.planarconfig == _SEPARATE else 1
        self._mapped = page.asarray(out="memmap") if page.is_memmappable else None
        size = self._side[0] * self._side[1] * self.bands // self._planes * page.dtype.itemsize
        self._segment = lru_cache(maxsize=max(1, _KEPT // max(size, 1)))(self._unpacked)

    def read(self, place: tuple[slice, slice]) -> Values:
        """The values at some rows and columns: (h, w, B).

        Raises:
            DataError: If the file is damaged there.
        """
        with tiff_damage(self._path):
            if self._mapped is not None:
                return self._of_memory(place)
            return self._of_segments(place)

    def _of_memory(self, place: tuple[slice, slice]) -> Values:
        mapped: Values = self._mapped  # type: ignore[assignment]
        if mapped.ndim == 2:
            return np.array(mapped[place])[:, :, None]
        return np.moveaxis(np.array(mapped[(slice(None), *place)]), 0, -1) if self._planes > 1 else mapped[place].copy()

    def _of_segments(self, place: tuple[slice, slice]) -> Values:
        rows, columns = place
        shape = rows.stop - rows.start, columns.stop - columns.start, self.bands
        values = np.full(shape, self._page.nodata, dtype=self._page.dtype)
        spans = (
            range(part.start // side, ceil(part.stop / side)) for part, side in zip(place, self._side, strict=True)
        )
        for plane, (down, across) in product(range(self._planes), list(product(*spans))):
            segment = self._segment((plane * self._grid[0] + down) * self._grid[1] + across)
            if segment is None:  # a file may leave out what is empty
                continue
            top, left = down * self._side[0], across * self._side[1]
            shown = slice(max(rows.start, top), min(rows.stop, top + segment.shape[0]))
            wide = slice(max(columns.start, left), min(columns.stop, left + segment.shape[1]))
            part = segment[shown.start - top : shown.stop - top, wide.start - left : wide.stop - left]
            samples = slice(plane, plane + 1) if self._planes > 1 else slice(None)
            target = slice(shown.start - rows.start, shown.stop - rows.start)
            values[target, wide.start - columns.start : wide.stop - columns.start, samples] = part
        return values

    def _unpacked(self, index: int) -> Values | None:
        """The values of a strip or tile (h, w, B); None of one that is left out."""
        page = self._page
        file, count = page.parent.filehandle, page.databytecounts[index]
        if not count:
            return None
        file.seek(page.dataoffsets[index])
        segment = page.decode(file.read(count), index)[0]
        found: Values | None = None if segment is None else segment[0]
        return found
