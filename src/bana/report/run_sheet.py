"""The picture at the end of a run: what went in, the labels made of it, and what the network then sees by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, FloatArray, IntArray
from bana.report.frame import Frame
from bana.report.panels import Color, Picture, colors_of, masks_panel
from bana.report.sheet import Layout, PanelRow, draw_sheet, legend_of, present

WIDTH = 1600
"""Pixels."""

HEADINGS = ("photo", "boxes in", "labels made of them", "the network, without boxes")

_LAYOUT = Layout(WIDTH, columns=len(HEADINGS))


@dataclass(frozen=True, eq=False)
class RunRow:
    """What one row shows.

    Attributes:
        image: uint8 (H, W, 3).
        boxes: float32 (K, 4) xyxy in pixel-edge coordinates of the image.
        class_ids: int64 (K,), each in 1..L.
        labels: (H, W) class ids, Y_crf; 0 background.
        unreliable: bool (H, W), where Y_crf and Y_ret differ; hatched on the labels.
        prediction: (H, W) class ids that the trained network gave; 0 background.
        caption: Words under the photograph.
        note: Words under the prediction.
    """

    image: Picture
    boxes: FloatArray
    class_ids: IntArray
    labels: LabelMap
    unreliable: BoolArray
    prediction: LabelMap
    caption: str = ""
    note: str = ""


def run_sheet(
    rows: Sequence[RunRow], classes: Sequence[str], *, title: str, subtitle: str = "", footer: str = ""
) -> Image.Image:
    """Draw photograph, boxes, labels and prediction of a few images side by side, 1600 pixels wide.

    A class has one color in the whole sheet. Under each row stands which color is which class: first those of the
    boxes, then those that only the network sees.

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
    colors = colors_of((*row.class_ids.tolist(), *present(row.prediction, len(classes))) for row in rows)
    drawn = (_drawn(row, classes, colors) for row in rows)
    key = (_hatching(_LAYOUT), "unreliable pixels")
    return draw_sheet(_LAYOUT, HEADINGS, drawn, title=title, subtitle=subtitle, footer=footer, key=key)


def _drawn(row: RunRow, classes: Sequence[str], colors: Mapping[int, Color]) -> PanelRow:
    frame = Frame(row.image, _LAYOUT)
    ids = row.class_ids.tolist()
    labels, unreliable = frame.labels(row.labels), frame.mask(row.unreliable)
    panels = (
        frame.image,
        frame.boxed(row.boxes, ids, classes, colors),
        masks_panel(frame.image, labels, colors, frame.scale, unreliable),
        masks_panel(frame.image, frame.labels(row.prediction), colors, frame.scale),
    )
    legend = legend_of(ids, classes, colors, row.prediction)
    return PanelRow([frame.reduced(panel) for panel in panels], legend, row.caption, row.note)


def _hatching(layout: Layout) -> Image.Image:
    """A little of what unreliable pixels look like."""
    frame = Frame(np.full((1, 2, 3), 110, np.uint8), replace(layout, tallest=16))
    nothing = np.zeros(frame.image.shape[:2], np.uint8)
    return frame.reduced(masks_panel(frame.image, nothing, {}, frame.scale, nothing == 0))
