"""Ways to label side by side: a row a photograph, a column a way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from bana.data.label_maps import LabelMap
from bana.data.records import FloatArray, IntArray
from bana.errors import SettingsError
from bana.report.frame import Frame
from bana.report.panels import Color, Picture, colors_of, masks_panel
from bana.report.sheet import Layout, PanelRow, draw_sheet, legend_of, present

COLUMN = 250
"""Pixels of a column."""

_GUTTER, _MARGIN = 12, 40


@dataclass(frozen=True, eq=False)
class ComparisonRow:
    """What one row shows.

    Attributes:
        image: uint8 (H, W, 3).
        boxes: float32 (K, 4) xyxy in pixel-edge coordinates of the image.
        class_ids: int64 (K,), each in 1..L.
        labels: By heading, (H, W) class ids; 0 background. Labels that are no class are left open, and hatched.
        caption: Words under the photograph.
    """

    image: Picture
    boxes: FloatArray
    class_ids: IntArray
    labels: Mapping[str, LabelMap]
    caption: str = ""


def comparison_sheet(
    rows: Sequence[ComparisonRow], classes: Sequence[str], *, title: str, subtitle: str = "", footer: str = ""
) -> Image.Image:
    """Draw boxes and the labels of every way side by side.

    A class has one color in the whole sheet.

    Args:
        rows: One or more, in order, all with the same headings.
        classes: L names; ``classes[i]`` is class id ``i + 1``.
        title: The large line at the top.
        subtitle: A line under it.
        footer: A line at the end.

    Returns:
        An RGB image.

    Raises:
        SettingsError: If there are no rows, or rows have other headings than the first.
    """
    if not rows or any(row.labels.keys() != rows[0].labels.keys() for row in rows):
        raise SettingsError("a comparison needs at least one image, and the labels of the same ways for all")
    headings = ["boxes in", *rows[0].labels]
    width = len(headings) * (COLUMN + _GUTTER) - _GUTTER + 2 * _MARGIN
    layout = Layout(width, len(headings), margin=_MARGIN, gutter=_GUTTER)
    colors = colors_of(
        (*row.class_ids.tolist(), *(each for labels in row.labels.values() for each in present(labels, len(classes))))
        for row in rows
    )
    drawn = (_drawn(row, classes, colors, layout) for row in rows)
    return draw_sheet(layout, headings, drawn, title=title, subtitle=subtitle, footer=footer)


def _drawn(row: ComparisonRow, classes: Sequence[str], colors: Mapping[int, Color], layout: Layout) -> PanelRow:
    frame = Frame(row.image, layout)
    ids = row.class_ids.tolist()
    panels = [frame.boxed(row.boxes, ids, classes, colors)]
    for labels in row.labels.values():
        unknown = frame.mask(labels > len(classes))
        panels.append(masks_panel(frame.image, frame.labels(labels), colors, frame.scale, unknown))
    return PanelRow([frame.reduced(panel) for panel in panels], legend_of(ids, classes, colors), row.caption)
