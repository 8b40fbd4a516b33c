"""How the values of image files become RGB: which range is mapped to 0..255, and which bands are the colors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bana.errors import DataError
from bana.io.strict_json import is_number
from bana.io.strict_yaml import parse_yaml

DATA_FILE = "bana.yaml"
"""The file in a data set's folder that says how its images are read."""

_REMEDY = "give images: {range: dtype, data or [low, high], bands: [red, green, blue]}"
_STRETCH = (0.1, 99.9)
"""Percentiles of an image's own values that become 0 and 255 with ``data``: a few hot pixels must not darken it."""

_SAMPLE = 1 << 20
"""The most values of a band that these percentiles are taken from."""

_STRIP = 1 << 22
"""Values to convert at a time."""

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class PixelValues:
    """How the values of an image file become RGB in 0..255.

    Attributes:
        range: The values that become 0 and 255, between which the others are scaled: ``dtype`` for the range of the
            file's type, by the rules of ``open_image``; ``data`` for the image's own (its percentiles 0.1 and 99.9 in
            each band); or the two themselves.
        bands: The numbers, from 1, of one band (gray) or of those that are red, green and blue; None for the first
            three, or the first one of two.
    """

    range: Literal["dtype", "data"] | tuple[float, float] = "dtype"
    bands: tuple[int, ...] | None = None

    @property
    def is_default(self) -> bool:
        """Whether images are read by the rules of ``open_image`` alone."""
        return self == PixelValues()

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values; empty where they are the default."""
        return {} if self.is_default else {"range": _plain(self.range), "bands": _plain(self.bands)}

    @classmethod
    def parse(cls, content: Any, where: str) -> PixelValues:
        """The settings that a file holds.

        Raises:
            DataError: If they are not those of the class, naming ``where``.
        """
        if not isinstance(content, dict) or set(content) - {"range", "bands"}:
            raise DataError(f"{where}: images must have the keys range and bands; {_REMEDY}")
        return cls(_parse_range(content.get("range"), where), _parse_bands(content.get("bands"), where))


BY_TYPE = PixelValues()
"""The rules of ``open_image``."""


def read_pixel_values(root: Path) -> PixelValues:
    """The settings of a data set: in the file ``bana.yaml`` of its folder, or of that above the file it is.

    Raises:
        DataError: If the file cannot be read, or holds something else.
    """
    folders = [root] if root.is_dir() else [root.parent, root.parent.parent]
    for file in (folder / DATA_FILE for folder in folders):
        if file.is_file():
            try:
                content = parse_yaml(file.read_bytes(), str(file))
            except OSError as error:
                raise DataError(f"{file}: cannot be read ({error.strerror}); restore or remove it") from error
            if not isinstance(content, dict) or set(content) != {"images"}:
                raise DataError(f"{file}: must have the key images alone; {_REMEDY}")
            return PixelValues.parse(content["images"], str(file))
    return BY_TYPE


def values_to_rgb(stored: Values, values: PixelValues, where: str) -> npt.NDArray[np.uint8]:
    """Map the values of an image to RGB.

    Args:
        stored: (H, W, B) of integers or floats, as the file has them.
        values: Which range and bands.
        where: The file, for messages.

    Returns:
        uint8 (H, W, 3).

    Raises:
        DataError: If the image has no such band.
    """
    height, width, count = stored.shape
    bands = values.bands or ((1, 2, 3) if count >= 3 else (1,))
    if max(bands) > count:
        raise DataError(f"{where}: has no band {max(bands)}, but {count} in all; correct bands in {DATA_FILE}")
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP // width)
    low_high = None if values.range == "data" else _range(stored, values.range)
    for channel in range(3):
        band = stored[:, :, bands[channel % len(bands)] - 1]
        low, high = low_high or _stretch(band)
        scale = 255.0 / (high - low) if high > low else 0.0
        for top in range(0, height, rows):
            strip = np.nan_to_num(band[top : top + rows].astype(np.float64))
            pixels[top : top + rows, :, channel] = np.clip(np.rint((strip - low) * scale), 0, 255)
    return pixels


def _range(stored: Values, wanted: str | tuple[float, float]) -> tuple[float, float]:
    """The values that become 0 and 255 in every band."""
    if not isinstance(wanted, str):
        return wanted
    if stored.dtype.itemsize == 1:
        return 0.0, 255.0
    if stored.dtype == np.uint16:
        return 0.0, 65535.0
    greatest = float(np.nan_to_num(stored.max(initial=0)))
    if greatest <= 1 and stored.dtype.kind == "f":
        return 0.0, 1.0
    return 0.0, 255.0 if greatest <= 255 or stored.dtype.kind == "f" else 65535.0


def _stretch(band: Values) -> tuple[float, float]:
    step = max(1, math.isqrt(band.size // _SAMPLE))
    sample = band[::step, ::step].astype(np.float64)
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return 0.0, 0.0
    low, high = np.percentile(finite, _STRETCH)
    return float(low), float(high)


def _parse_range(content: Any, where: str) -> Literal["dtype", "data"] | tuple[float, float]:
    if content is None or content == "dtype":
        return "dtype"
    if content == "data":
        return "data"
    if isinstance(content, list) and len(content) == 2 and all(map(is_number, content)) and content[0] < content[1]:
        return float(content[0]), float(content[1])
    raise DataError(f"{where}: range is {content!r:.40}; {_REMEDY}")


def _parse_bands(content: Any, where: str) -> tuple[int, ...] | None:
    if content is None:
        return None
    if isinstance(content, list) and len(content) in (1, 3) and all(type(band) is int and band > 0 for band in content):
        return tuple(content)
    raise DataError(f"{where}: bands is {content!r:.40}; give the numbers, from 1, of one band or of three")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
