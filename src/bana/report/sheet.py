"""The layout of a sheet of pictures: a title, headings, and rows of panels with words under them.

What the panels show is drawn elsewhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from PIL import Image, ImageDraw

from bana.data.colors import INK, PAPER, Color
from bana.data.label_maps import LabelMap
from bana.errors import SettingsError
from bana.report.text import fitted, font_for

_PALE: Color = (112, 115, 122)
"""Words that come second."""

_SMALL = 15
"""Size of the words under a row, in units of the layout."""

_LINE: Color = (222, 220, 214)
_RADIUS = 8
_MAX_NAME = 260


@dataclass(frozen=True)
class Layout:
    """Where things stand on a sheet.

    Attributes:
        width: Width of the sheet, pixels.
        columns: Panels in a row, three or more.
        scale: Pixels to a unit, in which all below are given: a wide sheet that will be shown smaller has larger ones.
        margin: Left and right.
        gutter: Between columns.
        tallest: Height that no panel exceeds.
    """

    width: int
    columns: int
    scale: float = 1.0
    margin: int = 56
    gutter: int = 20
    tallest: int = 330

    def pixels(self, units: float) -> int:
        """So many units, in pixels."""
        return round(units * self.scale)

    @property
    def cell(self) -> int:
        """The width of a column, pixels."""
        free = self.width - 2 * self.pixels(self.margin) - (self.columns - 1) * self.pixels(self.gutter)
        return free // self.columns

    @property
    def inner(self) -> int:
        """The width between the margins, pixels."""
        return self.width - 2 * self.pixels(self.margin)

    def left(self, column: int) -> int:
        """Where a column begins, pixels."""
        return self.pixels(self.margin) + column * (self.cell + self.pixels(self.gutter))

    def panel_size(self, height: int, width: int) -> tuple[int, int]:
        """The size (width, height) in pixels of an image of ``height`` x ``width`` that fills a column."""
        factor = min(self.cell / width, self.pixels(self.tallest) / height)
        return max(1, round(width * factor)), max(1, round(height * factor))


@dataclass(frozen=True)
class Entry:
    """A class in the legend of a row: its name, its color, and the number of its boxes, which is shown from two on."""

    name: str
    color: Color
    count: int = 1


@dataclass(frozen=True, eq=False)
class PanelRow:
    """A row of a sheet.

    Attributes:
        panels: One for each column, all of the size that Layout.panel_size gives.
        legend: The classes, under the second and third panel.
        caption: Words under the first panel.
        note: Words under the last panel.
    """

    panels: Sequence[Image.Image]
    legend: Sequence[Entry] = ()
    caption: str = ""
    note: str = ""


def draw_sheet(
    layout: Layout,
    headings: Sequence[str],
    rows: Iterable[PanelRow],
    *,
    title: str,
    subtitle: str = "",
    footer: str = "",
    key: Sequence[str | Image.Image] = (),
) -> Image.Image:
    """Draw a sheet.

    Args:
        layout: Where things stand.
        headings: One a column.
        rows: One or more, in order; they are taken one by one.
        title: The large line at the top.
        subtitle: A line under it.
        footer: A line at the end.
        key: Words and small pictures in a line at the right end of the subtitle, such as a color bar and what it says.

    Returns:
        An RGB image, ``layout.width`` wide.

    Raises:
        SettingsError: If there are no rows.
    """
    blocks = [_row(layout, row) for row in rows]
    if not blocks:
        raise SettingsError("a sheet of pictures needs at least one image; give it some")
    blocks = [_header(layout, headings, title, subtitle, key), *blocks, _footer(layout, footer)]
    sheet = Image.new("RGB", (layout.width, sum(block.height for block in blocks)), PAPER)
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height
    return _storable(sheet)


def legend_of(
    class_ids: Iterable[int], classes: Sequence[str], colors: Mapping[int, Color], labels: LabelMap | None = None
) -> list[Entry]:
    """The legend of a row: a class for each box, those of most boxes first, then what else is in a label map.

    Args:
        class_ids: The classes of the boxes, each in 1..L.
        classes: L names; ``classes[i]`` is class id ``i + 1``.
        colors: Colors of these classes and of those in ``labels``.
        labels: (H, W), such as a prediction, whose classes need not be those of the boxes.
    """
    boxes = Counter(class_ids)
    more = [] if labels is None else [each for each in present(labels, len(classes)) if each not in boxes]
    counts = chain(boxes.most_common(), ((class_id, 1) for class_id in more))
    return [Entry(classes[class_id - 1], colors[class_id], count) for class_id, count in counts]


def present(labels: LabelMap, classes: int) -> list[int]:
    """The class ids 1..``classes`` in a label map (H, W), those of most pixels first."""
    ids, counts = np.unique(labels, return_counts=True)
    ranked = ids[np.argsort(-counts, kind="stable")].tolist()
    return [class_id for class_id in ranked if 0 < class_id <= classes]


def _header(
    layout: Layout, headings: Sequence[str], title: str, subtitle: str, key: Sequence[str | Image.Image]
) -> Image.Image:
    unit = layout.pixels
    block = Image.new("RGB", (layout.width, unit(196)), PAPER)
    draw = ImageDraw.Draw(block)
    left, base = unit(layout.margin), unit(122)
    _write(draw, (left, unit(86)), title, unit(54), INK, layout.inner)
    end = _key(block, layout, base, key)
    _write(draw, (left, base), subtitle, unit(20), _PALE, end - left)
    for column, heading in enumerate(headings):
        _write(draw, (layout.left(column), unit(178)), heading, unit(19), INK, layout.cell)
    return block


def _key(block: Image.Image, layout: Layout, base: int, key: Sequence[str | Image.Image]) -> int:
    """Set words and pictures in a line that ends at the right margin, and say where what is left of them must end."""
    draw, small, left = ImageDraw.Draw(block), layout.pixels(_SMALL), layout.width - layout.pixels(layout.margin)
    for part in reversed(key):
        if isinstance(part, str):
            left -= math.ceil(font_for(part, small).getlength(part))
            _write(draw, (left, base), part, small, _PALE, layout.inner)
        else:
            left -= part.width
            block.paste(part, (left, base - part.height + layout.pixels(1)))
        left -= layout.pixels(10)
    return left


def _row(layout: Layout, row: PanelRow) -> Image.Image:
    size = row.panels[0].size
    block = Image.new("RGB", (layout.width, size[1] + layout.pixels(62)), PAPER)
    stencil = _rounded(size, layout.pixels(_RADIUS))
    for column, panel in enumerate(row.panels):
        block.paste(panel, (layout.left(column), 0), stencil)
    draw = ImageDraw.Draw(block)
    base, small = size[1] + layout.pixels(24), layout.pixels(_SMALL)
    _write(draw, (layout.left(0), base), row.caption, small, _PALE, layout.cell)
    _legend(draw, layout, base, row.legend)
    _write(draw, (layout.left(layout.columns - 1), base), row.note, small, _PALE, layout.cell)
    return block


def _legend(draw: ImageDraw.ImageDraw, layout: Layout, base: int, entries: Sequence[Entry]) -> None:
    """A square and a name for each class, with its number of boxes; what has no room is counted at the end."""
    unit, small = layout.pixels, layout.pixels(_SMALL)
    left, end = layout.left(1), layout.left(2) + layout.cell
    for index, entry in enumerate(entries):
        text = fitted(entry.name, small, unit(_MAX_NAME)) + (f" {entry.count}" if entry.count > 1 else "")
        room = font_for(text, small).getlength(text) + unit(20)
        if left + room > end - (unit(70) if index + 1 < len(entries) else 0):
            _write(draw, (left, base), f"and {len(entries) - index} more", small, _PALE, end - left)
            return
        square = (left, base - unit(11), left + unit(11), base)
        draw.rounded_rectangle(square, unit(3), entry.color)
        _write(draw, (left + unit(17), base), text, small, INK, room)
        left += round(room) + unit(16)


def _footer(layout: Layout, text: str) -> Image.Image:
    unit = layout.pixels
    block = Image.new("RGB", (layout.width, unit(64)), PAPER)
    if text:
        draw = ImageDraw.Draw(block)
        left = unit(layout.margin)
        draw.line((left, 0, layout.width - left, 0), _LINE)
        _write(draw, (left, unit(32)), text, unit(14), _PALE, layout.inner)
    return block


def _write(draw: ImageDraw.ImageDraw, start: tuple[int, int], text: str, size: int, color: Color, width: float) -> None:
    """Write a line that starts at the left end of its base line, cut to ``width``; all in pixels."""
    text = fitted(text, size, width)
    draw.text(start, text, color, font_for(text, size), anchor="ls")


def _rounded(size: tuple[int, int], radius: int) -> Image.Image:
    """A stencil of a rectangle with round corners."""
    large = Image.new("L", (size[0] * 4, size[1] * 4))
    ImageDraw.Draw(large).rounded_rectangle((0, 0, large.width - 1, large.height - 1), 4 * radius, 255)
    return large.resize(size, Image.Resampling.BOX)


def _storable(sheet: Image.Image) -> Image.Image:
    """The sheet with values in steps of 3, which no eye sees and which makes a PNG a third smaller."""
    return sheet.point([round(value / 3) * 3 for value in range(256)] * 3)
