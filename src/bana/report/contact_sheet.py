"""A contact sheet: photographs in rows, each with its boxes, its masks and its unreliable pixels beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, FloatArray, IntArray
from bana.report.frame import Frame
from bana.report.panels import Color, Picture, colors_of, masks_panel, unreliable_panel
from bana.report.sheet import Layout, PanelRow, draw_sheet, legend_of

WIDTH = 1600
"""Pixels."""

HEADINGS = ("photo", "boxes in", "masks out", "unreliable pixels")

_LAYOUT = Layout(WIDTH, columns=len(HEADINGS))


@dataclass(frozen=True, eq=False)
class SheetRow:
    """What one row shows.

    Attributes:
        image: uint8 (H, W, 3).
        boxes: float32 (K, 4) xyxy in pixel-edge coordinates of the image.
        class_ids: int64 (K,), each in 1..L.
        labels: (H, W) class ids; 0 background. Labels that no box has are shown as background.
        unreliable: bool (H, W).
        caption: Words under the photograph.
        note: Words under the unreliable pixels.
    """

    image: Picture
    boxes: FloatArray
    class_ids: IntArray
    labels: LabelMap
    unreliable: BoolArray
    caption: str = ""
    note: str = ""


def contact_sheet(
    rows: Sequence[SheetRow], classes: Sequence[str], *, title: str, subtitle: str = "", footer: str = ""
) -> Image.Image:
    """Draw a contact sheet, 1600 pixels wide.

    A class has one color in the whole sheet; under each row stands which color is which class.

    Args:
        rows: One or more, in order.
        classes: L names; ``classes[i]`` is class id ``i + 1``.
        title: The large line at the top.
        subtitle: A line under it.
        footer: A line at the end.

    Returns:
        An RGB image.

    Raises:
        SettingsError: If there are no rows.
    """
    colors = colors_of(row.class_ids.tolist() for row in rows)
    drawn = (_drawn(row, classes, colors) for row in rows)
    return draw_sheet(_LAYOUT, HEADINGS, drawn, title=title, subtitle=subtitle, footer=footer)


def _drawn(row: SheetRow, classes: Sequence[str], colors: Mapping[int, Color]) -> PanelRow:
    frame = Frame(row.image, _LAYOUT)
    labels, unreliable = frame.labels(row.labels), frame.mask(row.unreliable)
    ids = row.class_ids.tolist()
    panels = (
        frame.image,
        frame.boxed(row.boxes, ids, classes, colors),
        masks_panel(frame.image, labels, colors, frame.scale),
        unreliable_panel(frame.image, np.isin(labels, ids), unreliable, frame.scale),
    )
    legend = legend_of(ids, classes, colors)
    return PanelRow([frame.reduced(panel) for panel in panels], legend, row.caption, row.note)
