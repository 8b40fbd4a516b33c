"""A photograph, its boxes and its pixel maps, at the size at which a sheet shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, FloatArray
from bana.report.panels import Color, Picture, boxes_panel
from bana.report.sheet import Layout

_FINER = 2
"""Panels are drawn so many times larger and then reduced, which smooths their lines."""


class Frame:
    """What lies on one photograph, enlarged for drawing, and drawings reduced to a sheet's column.

    Args:
        image: uint8 (H, W, 3).
        layout: Of the sheet.

    Attributes:
        scale: Pixels of a drawing to a unit of line width and letter size.
    """

    def __init__(self, image: Picture, layout: Layout) -> None:
        self._image = image
        self._size = layout.panel_size(*image.shape[:2])
        self._large = (self._size[0] * _FINER, self._size[1] * _FINER)
        self.scale = max(1, round(_FINER * layout.scale))

    @cached_property
    def image(self) -> Picture:
        """The photograph, uint8 (h, w, 3)."""
        return np.asarray(Image.fromarray(self._image).resize(self._large, Image.Resampling.LANCZOS))

    def boxed(
        self, boxes: FloatArray, class_ids: Sequence[int], classes: Sequence[str], colors: Mapping[int, Color]
    ) -> Picture:
        """The photograph, uint8 (h, w, 3), with boxes (K, 4) of the original drawn and named on it."""
        moved = boxes * np.tile(np.array(self._large) / self._image.shape[1::-1], 2)
        names, strokes = [classes[each - 1] for each in class_ids], [colors[each] for each in class_ids]
        return boxes_panel(self.image, moved, names, strokes, self.scale)

    def labels(self, labels: LabelMap) -> LabelMap:
        """Labels (H, W) as (h, w), without stairs: each pixel's label is that of most around it."""
        ids = np.unique(labels)
        shares = [self.values((labels == label).astype(np.float32)) for label in ids]
        resized: LabelMap = ids[np.argmax(shares, axis=0)]
        return resized

    def mask(self, mask: BoolArray) -> BoolArray:
        """A mask (H, W) as (h, w), without stairs."""
        resized: BoolArray = self.labels(mask.astype(np.uint8)) > 0
        return resized

    def values(self, values: npt.NDArray[np.float32]) -> FloatArray:
        """Numbers float32 (H, W) as (h, w)."""
        return np.asarray(Image.fromarray(values).resize(self._large, Image.Resampling.BILINEAR))

    def reduced(self, drawing: Picture) -> Image.Image:
        """A drawing, uint8 (h, w, 3), at the size of a panel of the sheet."""
        return Image.fromarray(drawing).resize(self._size, Image.Resampling.BOX)
