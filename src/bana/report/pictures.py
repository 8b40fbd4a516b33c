"""The four pictures of rows of photographs: what each column of them shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Required, TypedDict, Unpack

import numpy as np
from PIL import Image

from bana.data.colors import colors_of
from bana.errors import SettingsError
from bana.report.frame import Frame, SheetRow
from bana.report.panels import Picture, confidence_panel
from bana.report.sheet import Layout, PanelRow, draw_sheet, legend_of, present

SHEET_WIDTH = 1600
"""Pixels."""

CONFIDENCE_WIDTH = 2400
"""Pixels; letters are so much larger than on a sheet of 1600 pixels that it can be shown at that width."""

COLUMN_WIDTH = 250
"""Pixels of a column of the comparison."""

MAX_EPOCHS = 5

Columns = Mapping[str, Callable[[Frame], Picture]]
"""What draws the panels of a column, by its heading."""


class Words(TypedDict, total=False):
    """What a sheet says.

    Attributes:
        title: The large line at the top.
        subtitle: A line under it.
        footer: A line at the end.
    """

    title: Required[str]
    subtitle: str
    footer: str


def contact_sheet(rows: Sequence[SheetRow], classes: Sequence[str], **words: Unpack[Words]) -> Image.Image:
    """Draw photographs, boxes, masks and unreliable pixels side by side, 1600 pixels wide.

    A class has one color in the whole sheet; under each row stands which color is which class. Labels that no box has
    are shown as background.

    Args:
        rows: One or more, with boxes, ``labels`` and unreliable pixels.
        classes: L names; ``classes[i]`` is class id ``i + 1``.
        **words: Title, subtitle and footer.

    Raises:
        SettingsError: If there are no rows.
    """
    columns: Columns = {
        "photo": Frame.photo,
        "boxes in": Frame.boxes,
        "masks out": Frame.masks,
        "unreliable pixels": Frame.unreliable,
    }
    return _drawn(rows, classes, columns, Layout(SHEET_WIDTH, len(columns)), **words)


def run_sheet(rows: Sequence[SheetRow], classes: Sequence[str], **words: Unpack[Words]) -> Image.Image:
    """Draw what went into a run, the labels made of it, and what the network sees by itself, 1600 pixels wide.

    Under each row stands which color is which class: first those of the boxes, then those that only the network sees.

    Args:
        rows: One or more, with boxes, unreliable pixels, and the label maps ``labels`` and ``prediction``.
        classes: As for contact_sheet.
        **words: As for contact_sheet.

    Raises:
        SettingsError: If there are no rows.
    """
    columns: Columns = {
        "photo": Frame.photo,
        "boxes in": Frame.boxes,
        "labels made of them": lambda frame: frame.masks(hatched=frame.row.unreliable),
        "the network, without boxes": lambda frame: frame.masks("prediction"),
    }
    layout = Layout(SHEET_WIDTH, len(columns))
    gray = SheetRow(np.full((1, 2, 3), 110, np.uint8), np.zeros(0, np.int64), {"labels": np.zeros((1, 2), np.uint8)})
    sample = Frame(gray, replace(layout, tallest=16), classes, {})
    hatching = sample.reduced(sample.masks(hatched=np.ones((1, 2), bool)))
    key = (hatching, "unreliable pixels")
    return _drawn(rows, classes, columns, layout, colored=["prediction"], legend="prediction", key=key, **words)


def comparison_sheet(rows: Sequence[SheetRow], classes: Sequence[str], **words: Unpack[Words]) -> Image.Image:
    """Draw boxes and the labels of several methods side by side, 250 pixels a column.

    Labels that are no class are left open, and hatched.

    Args:
        rows: One or more, with boxes and the label maps of the same methods.
        classes: As for contact_sheet.
        **words: As for contact_sheet.

    Raises:
        SettingsError: If there are no rows, or rows have other methods than the first.
    """
    if not rows or any(row.labels.keys() != rows[0].labels.keys() for row in rows):
        raise SettingsError("a comparison needs at least one image, and labels of the same methods for all")

    def masks(name: str, frame: Frame) -> Picture:
        return frame.masks(name, frame.row.labels[name] > len(classes))

    columns: Columns = {"boxes in": Frame.boxes, **{name: partial(masks, name) for name in rows[0].labels}}
    gutter, margin = 12, 40
    width = len(columns) * (COLUMN_WIDTH + gutter) - gutter + 2 * margin
    layout = Layout(width, len(columns), margin=margin, gutter=gutter)
    return _drawn(rows, classes, columns, layout, colored=list(rows[0].labels), **words)


def confidence_sheet(rows: Sequence[SheetRow], classes: Sequence[str], **words: Unpack[Words]) -> Image.Image:
    """Draw labels, unreliable pixels and the confidence after each epoch side by side (the paper's Fig. 5).

    The sheet is 2400 pixels wide. Of more than five epochs it shows the first, the last, and three between them.

    Args:
        rows: One or more, with ``labels``, unreliable pixels, and confidence (Eq. 12) after the same epochs.
        classes: As for contact_sheet.
        **words: As for contact_sheet.

    Raises:
        SettingsError: If there are no rows, a row has no epochs, or others than the first row.
    """
    columns: dict[str, Callable[[Frame], Picture]] = {
        "photo": Frame.photo,
        "labels": Frame.masks,
        "unreliable pixels": lambda frame: frame.masks(hatched=frame.row.unreliable),
    }
    for epoch in _shown_epochs(rows):
        columns[f"epoch {epoch}"] = partial(Frame.confidence, epoch=epoch)
    layout = Layout(CONFIDENCE_WIDTH, len(columns), scale=1.5, gutter=12)
    scale = np.linspace(0, 1, layout.pixels(200), dtype=np.float32)[None]
    color_bar = Image.fromarray(confidence_panel(scale.repeat(layout.pixels(14), axis=0)))
    return _drawn(rows, classes, columns, layout, key=("confidence in the label", "0", color_bar, "1"), **words)


def _drawn(
    rows: Sequence[SheetRow],
    classes: Sequence[str],
    columns: Columns,
    layout: Layout,
    *,
    colored: Sequence[str] = (),
    legend: str = "",
    key: Sequence[str | Image.Image] = (),
    **words: Unpack[Words],
) -> Image.Image:
    """Draw every column of every row.

    Args:
        rows: In order.
        classes: L names.
        columns: In order.
        layout: Where things stand.
        colored: Label maps whose classes have a color even where no box has them.
        legend: The label map whose classes the legend names after those of the boxes.
        key: As for draw_sheet.
        **words: Title, subtitle and footer.
    """
    colors = colors_of(
        (*row.class_ids.tolist(), *(each for name in colored for each in present(row.labels[name], len(classes))))
        for row in rows
    )

    def panels(row: SheetRow) -> PanelRow:
        frame = Frame(row, layout, classes, colors)
        ids = row.class_ids.tolist()
        if not len(row.boxes):  # the ids are classes, which are not counted
            ids = list(dict.fromkeys(ids))
        entries = legend_of(ids, classes, colors, row.labels.get(legend))
        drawings = [frame.reduced(draw(frame)) for draw in columns.values()]
        return PanelRow(drawings, entries, row.caption, row.note)

    return draw_sheet(layout, list(columns), map(panels, rows), key=key, **words)


def _shown_epochs(rows: Sequence[SheetRow]) -> list[int]:
    """At most MAX_EPOCHS of those that all rows have."""
    if not rows:
        return []
    epochs = sorted(rows[0].confidence)
    if not epochs or any(row.confidence.keys() != rows[0].confidence.keys() for row in rows):
        raise SettingsError("a confidence sheet needs the same epochs, one or more, for every image")
    if len(epochs) <= MAX_EPOCHS:
        return epochs
    return [epochs[round(index)] for index in np.linspace(0, len(epochs) - 1, MAX_EPOCHS).tolist()]
