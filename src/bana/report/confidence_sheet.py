"""Labels, where they are unreliable, and how far the network trusted them as it learned: the paper's Fig. 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, FloatArray, IntArray
from bana.errors import SettingsError
from bana.report.frame import Frame
from bana.report.panels import Color, Picture, colors_of, confidence_panel, masks_panel
from bana.report.sheet import Layout, PanelRow, draw_sheet, legend_of

WIDTH = 2400
"""Pixels; letters are so much larger than on a sheet of 1600 pixels that it can be shown at that width."""

MAX_EPOCHS = 5

HEADINGS = ("photo", "labels", "unreliable pixels")


@dataclass(frozen=True, eq=False)
class ConfidenceRow:
    """What one row shows.

    Attributes:
        image: uint8 (H, W, 3).
        class_ids: int64 (K,), each in 1..L: the classes of the boxes, or those that the labels have.
        labels: (H, W) class ids, Y_crf; 0 background.
        unreliable: bool (H, W), where Y_crf and Y_ret differ.
        sigma: Float (H, W) in 0..1 for each epoch after which it was drawn (Eq. 12); 0 at ignored pixels.
        caption: Words under the photograph.
    """

    image: Picture
    class_ids: IntArray
    labels: LabelMap
    unreliable: BoolArray
    sigma: Mapping[int, FloatArray]
    caption: str = ""


def confidence_sheet(
    rows: Sequence[ConfidenceRow], classes: Sequence[str], *, title: str, subtitle: str = "", footer: str = ""
) -> Image.Image:
    """Draw labels, unreliable pixels and the confidence after each epoch side by side, 2400 pixels wide.

    Of more than five epochs five are shown: the first, the last, and those that are evenly between.

    Args:
        rows: One or more, in order, all with the same epochs.
        classes: L names; ``classes[i]`` is class id ``i + 1``.
        title: The large line at the top.
        subtitle: A line under it.
        footer: A line at the end.

    Returns:
        An RGB image.

    Raises:
        SettingsError: If there are no rows, a row has no epochs, or others than the first row.
    """
    epochs = _shown_epochs(rows)
    layout = Layout(WIDTH, columns=len(HEADINGS) + len(epochs), scale=1.5, gutter=12)
    colors = colors_of(row.class_ids.tolist() for row in rows)
    return draw_sheet(
        layout,
        [*HEADINGS, *(f"epoch {epoch}" for epoch in epochs)],
        (_drawn(layout, row, classes, colors, epochs) for row in rows),
        title=title,
        subtitle=subtitle,
        footer=footer,
        key=("confidence in the label", "0", _color_bar(layout), "1"),
    )


def _shown_epochs(rows: Sequence[ConfidenceRow]) -> list[int]:
    """At most MAX_EPOCHS of those that all rows have."""
    if not rows:
        return []
    epochs = sorted(rows[0].sigma)
    if not epochs or any(row.sigma.keys() != rows[0].sigma.keys() for row in rows):
        raise SettingsError("a confidence sheet needs the same epochs, one or more, of every image; give those")
    if len(epochs) <= MAX_EPOCHS:
        return epochs
    return [epochs[round(index)] for index in np.linspace(0, len(epochs) - 1, MAX_EPOCHS).tolist()]


def _drawn(
    layout: Layout,
    row: ConfidenceRow,
    classes: Sequence[str],
    colors: Mapping[int, Color],
    epochs: Sequence[int],
) -> PanelRow:
    frame = Frame(row.image, layout)
    labels, unreliable = frame.labels(row.labels), frame.mask(row.unreliable)
    sigma = (frame.values(row.sigma[epoch].astype(np.float32)) for epoch in epochs)
    panels = (
        frame.image,
        masks_panel(frame.image, labels, colors, frame.scale),
        masks_panel(frame.image, labels, colors, frame.scale, unreliable),
        *map(confidence_panel, sigma),
    )
    # Whether the ids are those of boxes or of classes is the caller's choice, so they are not counted.
    legend = legend_of(list(dict.fromkeys(row.class_ids.tolist())), classes, colors)
    return PanelRow([frame.reduced(panel) for panel in panels], legend, row.caption)


def _color_bar(layout: Layout) -> Image.Image:
    """The colors of confidence from 0 to 1."""
    width, height = layout.pixels(200), layout.pixels(14)
    return Image.fromarray(confidence_panel(np.linspace(0, 1, width, dtype=np.float32)[None].repeat(height, axis=0)))
