"""One row of a sheet: a photograph and what lies on it, at the size at which it is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.colors import Color
from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, FloatArray, IntArray
from bana.report.panels import Picture, boxes_panel, confidence_panel, masks_panel, unreliable_panel
from bana.report.sheet import Layout

_FINER = 2
"""Panels are drawn so many times larger and then reduced, which smooths their lines."""

_NO_BOXES = np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class SheetRow:
    """What one row of a sheet shows; a sheet that does not show something does not need it.

    Attributes:
        image: RGB uint8 (H, W, 3).
        class_ids: int64 (K,), each in 1..L; without boxes the classes that the labels have.
        labels: (H, W) class ids by what made them; 0 background.
        boxes: float32 (K, 4) xyxy in pixel-edge coordinates of the image.
        unreliable: bool (H, W), where Y_crf and Y_ret differ.
        confidence: Float (H, W) in 0..1, by the number of epochs after which it was measured.
        caption: Words under the first panel.
        note: Words under the last panel.
    """

    image: Picture
    class_ids: IntArray
    labels: Mapping[str, LabelMap]
    boxes: FloatArray = field(default_factory=_NO_BOXES.copy)
    unreliable: BoolArray | None = None
    confidence: Mapping[int, FloatArray] = field(default_factory=dict)
    caption: str = ""
    note: str = ""


class Frame:
    """Draws the panels of a row, and reduces them to a sheet's column.

    Args:
        row: What is drawn.
        layout: The sheet's layout.
        classes: L names; ``classes[i]`` is class id ``i + 1``.
        colors: Colors by class id; labels without a color are not drawn.

    Attributes:
        row: The row.
    """

    def __init__(self, row: SheetRow, layout: Layout, classes: Sequence[str], colors: Mapping[int, Color]) -> None:
        self.row = row
        self._size = layout.panel_size(*row.image.shape[:2])
        self._large = (self._size[0] * _FINER, self._size[1] * _FINER)
        self._scale = max(1, round(_FINER * layout.scale))  # pixels of a drawing to a unit of line width
        self._classes, self._colors = classes, colors

    def photo(self) -> Picture:
        """The photograph."""
        return self._image

    def boxes(self) -> Picture:
        """The photograph with its boxes drawn, and named unless all have one class, which the legend names."""
        row, ids = self.row, self.row.class_ids.tolist()
        moved = row.boxes * np.tile(np.array(self._large) / row.image.shape[1::-1], 2)
        named = len(set(ids)) > 1
        names, strokes = [self._classes[each - 1] * named for each in ids], [self._colors[each] for each in ids]
        return boxes_panel(self._image, moved, names, strokes, self._scale)

    def masks(self, name: str = "labels", hatched: BoolArray | None = None) -> Picture:
        """Labels over the pale photograph, with stripes where ``hatched``, bool (H, W)."""
        stripes = None if hatched is None else self._resized(hatched.astype(np.uint8)) > 0
        return masks_panel(self._image, self._resized(self.row.labels[name]), self._colors, self._scale, stripes)

    def unreliable(self) -> Picture:
        """The dark photograph, its objects lighter, and its unreliable pixels."""
        assert self.row.unreliable is not None
        labeled = np.isin(self._resized(self.row.labels["labels"]), self.row.class_ids)
        unreliable = self._resized(self.row.unreliable.astype(np.uint8)) > 0
        return unreliable_panel(self._image, labeled, unreliable, self._scale)

    def confidence(self, epoch: int) -> Picture:
        """The confidence after so many epochs."""
        return confidence_panel(self._values(self.row.confidence[epoch].astype(np.float32)))

    def reduced(self, drawing: Picture) -> Image.Image:
        """A drawing, uint8 (h, w, 3), at the size of a panel of the sheet."""
        return Image.fromarray(drawing).resize(self._size, Image.Resampling.BOX)

    @cached_property
    def _image(self) -> Picture:
        return np.asarray(Image.fromarray(self.row.image).resize(self._large, Image.Resampling.LANCZOS))

    def _resized(self, labels: LabelMap) -> LabelMap:
        """Labels (H, W) as (h, w), without stairs: each pixel's label is that of most around it."""
        ids = np.unique(labels)
        shares = [self._values((labels == label).astype(np.float32)) for label in ids]
        resized: LabelMap = ids[np.argmax(shares, axis=0)]
        return resized

    def _values(self, values: npt.NDArray[np.float32]) -> FloatArray:
        """Numbers float32 (H, W) as (h, w)."""
        return np.asarray(Image.fromarray(values).resize(self._large, Image.Resampling.BILINEAR))
