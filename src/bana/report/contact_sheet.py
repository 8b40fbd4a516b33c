"""A contact sheet: photographs in rows, each with its boxes, its masks and its unreliable pixels beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, FloatArray, IntArray
from bana.errors import SettingsError
from bana.report.lettering import fitted, font_for
from bana.report.panels import INK, Colour, Picture, boxes_panel, colours_of, masks_panel, unreliable_panel

WIDTH = 1600
"""Pixels."""

HEADINGS = ("photo", "boxes in", "masks out", "unreliable pixels")

_PAPER: Colour = (252, 252, 249)
_PALE: Colour = (112, 115, 122)
_LINE: Colour = (222, 220, 214)
_MARGIN = 56
_GUTTER = 20
_CELL = (WIDTH - 2 * _MARGIN - 3 * _GUTTER) // 4
_TALLEST = 330
_RADIUS = 8
_SMALL = 15
_LONGEST_NAME = 260
_FINER = 2
"""Panels are drawn so many times larger and then reduced, which smooths their lines."""


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

    A class has one colour in the whole sheet; under each row stands which colour is which class.

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
    if not rows:
        raise SettingsError("a contact sheet needs at least one image; give it some")
    colours = colours_of(row.class_ids.tolist() for row in rows)
    blocks: list[Image.Image] = [_header(title, subtitle)]
    blocks += [_row(row, classes, colours) for row in rows]
    blocks.append(_footer(footer))
    sheet = Image.new("RGB", (WIDTH, sum(block.height for block in blocks)), _PAPER)
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height
    return _storable(sheet)


def _header(title: str, subtitle: str) -> Image.Image:
    block = Image.new("RGB", (WIDTH, 196), _PAPER)
    draw = ImageDraw.Draw(block)
    _write(draw, (_MARGIN, 86), title, 54, INK, WIDTH - 2 * _MARGIN)
    _write(draw, (_MARGIN, 122), subtitle, 20, _PALE, WIDTH - 2 * _MARGIN)
    for column, heading in enumerate(HEADINGS):
        _write(draw, (_left(column), 178), heading, 19, INK, _CELL)
    return block


def _row(row: SheetRow, classes: Sequence[str], colours: Mapping[int, Colour]) -> Image.Image:
    height, width = row.labels.shape
    factor = min(_CELL / width, _TALLEST / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    block = Image.new("RGB", (WIDTH, size[1] + 62), _PAPER)
    for column, panel in enumerate(_panels(row, size, classes, colours)):
        block.paste(panel, (_left(column), 0), _rounded(size))
    draw = ImageDraw.Draw(block)
    base = size[1] + 24
    _write(draw, (_left(0), base), row.caption, _SMALL, _PALE, _CELL)
    _legend(draw, (_left(1), base), row.class_ids, classes, colours, 2 * _CELL + _GUTTER)
    _write(draw, (_left(3), base), row.note, _SMALL, _PALE, _CELL)
    return block


def _panels(
    row: SheetRow, size: tuple[int, int], classes: Sequence[str], colours: Mapping[int, Colour]
) -> list[Image.Image]:
    """The four pictures of a row, each of ``size`` (width, height)."""
    large = (size[0] * _FINER, size[1] * _FINER)
    image = np.asarray(Image.fromarray(row.image).resize(large, Image.Resampling.LANCZOS))
    labels, unreliable = _resized(row.labels, large), _resized(row.unreliable.astype(np.uint8), large) > 0
    boxes = row.boxes * np.tile(np.array(large) / row.image.shape[1::-1], 2)
    ids = row.class_ids.tolist()
    panels = (
        image,
        boxes_panel(image, boxes, [classes[i - 1] for i in ids], [colours[i] for i in ids], _FINER),
        masks_panel(image, labels, colours, _FINER),
        unreliable_panel(image, np.isin(labels, ids), unreliable, _FINER),
    )
    return [Image.fromarray(panel).resize(size, Image.Resampling.BOX) for panel in panels]


def _footer(text: str) -> Image.Image:
    block = Image.new("RGB", (WIDTH, 64), _PAPER)
    draw = ImageDraw.Draw(block)
    draw.line((_MARGIN, 0, WIDTH - _MARGIN, 0), _LINE)
    _write(draw, (_MARGIN, 32), text, 14, _PALE, WIDTH - 2 * _MARGIN)
    return block


def _legend(
    draw: ImageDraw.ImageDraw,
    start: tuple[int, int],
    class_ids: IntArray,
    classes: Sequence[str],
    colours: Mapping[int, Colour],
    width: int,
) -> None:
    """A square and a name for each class of a row, with its number of boxes; what has no room is counted at the end."""
    left, base = start
    end = left + width
    counts = Counter(class_ids.tolist()).most_common()
    for index, (class_id, count) in enumerate(counts):
        text = fitted(classes[class_id - 1], _SMALL, _LONGEST_NAME) + (f" {count}" if count > 1 else "")
        room = font_for(text, _SMALL).getlength(text) + 20
        if left + room > end - (70 if index + 1 < len(counts) else 0):
            _write(draw, (left, base), f"and {len(counts) - index} more", _SMALL, _PALE, end - left)
            return
        draw.rounded_rectangle((left, base - 11, left + 11, base), 3, colours[class_id])
        _write(draw, (left + 17, base), text, _SMALL, INK, room)
        left += round(room) + 16


def _write(
    draw: ImageDraw.ImageDraw, start: tuple[int, int], text: str, size: int, colour: Colour, width: float
) -> None:
    """Write a line that starts at the left end of its base line, cut to ``width``."""
    text = fitted(text, size, width)
    draw.text(start, text, colour, font_for(text, size), anchor="ls")


def _left(column: int) -> int:
    return _MARGIN + column * (_CELL + _GUTTER)


def _resized(labels: LabelMap, size: tuple[int, int]) -> LabelMap:
    """Labels (H, W) at another size (width, height), without stairs: each pixel's label is that of most around it."""
    present = np.unique(labels)
    shares = [
        np.asarray(Image.fromarray((labels == label).astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
        for label in present
    ]
    resized: LabelMap = present[np.argmax(shares, axis=0)]
    return resized


def _rounded(size: tuple[int, int]) -> Image.Image:
    """A stencil of a rectangle with round corners."""
    large = Image.new("L", (size[0] * 4, size[1] * 4))
    ImageDraw.Draw(large).rounded_rectangle((0, 0, large.width - 1, large.height - 1), 4 * _RADIUS, 255)
    return large.resize(size, Image.Resampling.BOX)


def _storable(sheet: Image.Image) -> Image.Image:
    """The sheet with values in steps of 3, which no eye sees and which makes a PNG a third smaller."""
    return sheet.point([round(value / 3) * 3 for value in range(256)] * 3)
