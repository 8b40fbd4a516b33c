"""The pictures of a page that lie on one photograph: small files, transparent where they say nothing."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.colors import ALARM, Color
from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray
from bana.report.panels import Picture, confidence_panel

_QUALITY = 78
_STEPS = 32
"""Shades of a confidence map; more cannot be told apart, and take more bytes."""

_STRIPE = 3
"""Pixels; of every three diagonals one is open."""


def shown_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of an image on the page: its longer side is ``side`` at most."""
    factor = min(1.0, side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def photo_layer(image: Picture, size: tuple[int, int]) -> bytes:
    """A photograph, uint8 (H, W, 3), as a WebP file of ``size`` (width, height)."""
    buffer = io.BytesIO()
    Image.fromarray(image).resize(size, Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()


def class_layer(labels: LabelMap, colors: Mapping[int, Color], size: tuple[int, int]) -> bytes:
    """Labels (H, W) as a PNG of ``size``, each class in its color and all that has none transparent."""
    reduced = _nearest(labels.astype(np.int32), size)
    ids = [each for each in np.unique(reduced).tolist() if each in colors]
    indices = np.zeros(reduced.shape, np.uint8)
    for index, class_id in enumerate(ids[:255], start=1):
        indices[reduced == class_id] = index
    return _palette_png(indices, [(0, 0, 0), *(colors[class_id] for class_id in ids[:255])])


def unreliable_layer(unreliable: BoolArray, size: tuple[int, int]) -> bytes:
    """Unreliable pixels, bool (H, W), as a PNG of ``size`` with yellow stripes over them."""
    reduced = _nearest(unreliable.astype(np.int32), size)
    rows, columns = np.ogrid[: size[1], : size[0]]
    stripes = (rows + columns) // _STRIPE % 3 != 0
    return _palette_png((reduced * stripes).astype(np.uint8), [(0, 0, 0), ALARM])


def confidence_layer(values: npt.NDArray[np.floating], size: tuple[int, int]) -> bytes:
    """Confidence (H, W) in 0..1 as a PNG of ``size``, dark to bright."""
    small = Image.fromarray(np.asarray(values, dtype=np.float32)).resize(size, Image.Resampling.BOX)
    steps = np.rint(np.clip(np.asarray(small), 0, 1) * (_STEPS - 1)).astype(np.uint8)
    shades = confidence_panel(np.linspace(0, 1, _STEPS, dtype=np.float32)[None])[0]
    return _palette_png(steps, shades.tolist(), transparent=None)


def _nearest(values: npt.NDArray[np.int32], size: tuple[int, int]) -> npt.NDArray[np.int32]:
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.NEAREST))


def _palette_png(indices: npt.NDArray[np.uint8], colors: list[Color], transparent: int | None = 0) -> bytes:
    picture = Image.fromarray(indices)
    picture.putpalette([value for color in colors for value in color])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True, **({} if transparent is None else {"transparency": transparent}))
    return buffer.getvalue()
