"""A photograph with its labels over it, as a JPEG file: the picture of a prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from bana.data.colors import INK, PAPER, Color, color_of
from bana.data.encoding import jpeg
from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, ClassTable
from bana.report.panels import Picture, grown
from bana.report.text import fitted, font_for

_SHARE = 0.6
"""How much of a class's color its pixels have; the rest is the photograph."""

_RIM_SHARE = 0.95
_STRIP = 1 << 18
"""Pixels that are blended at once, which bounds the memory whatever the image's size."""

MIN_LETTERS = 9
"""The size, in pixels, below which letters are not worth drawing."""

_MAX_WIDTH, _MAX_HEIGHT = 0.5, 0.45
"""Shares of the photograph that the legend may cover."""

Weights = npt.NDArray[np.uint16]


def overlay_jpeg(image: Picture, labels: LabelMap, class_table: ClassTable) -> bytes:
    """The photograph with every class in its color, rims at the borders of regions, and the classes' names.

    A class id has the same color in every picture: ``PALETTE[(id - 1) % 12]``. Background, ignored pixels and ids
    that the table does not have show the photograph. The names stand at the bottom left, those of most pixels first;
    as many as fit into half the width and less than half the height, and none on a picture too small to read them.

    Args:
        image: RGB uint8 (H, W, 3).
        labels: uint8 or uint16 (H, W) class ids; 0 background.
        class_table: The classes, and the ignore label.

    Returns:
        A JPEG file of the photograph's size.
    """
    picture, counts = blended(image, labels, len(class_table))
    drawing = Image.fromarray(picture)
    ranked = np.argsort(-counts[1 : len(class_table) + 1], kind="stable").tolist()
    shown = [class_id for class_id in (index + 1 for index in ranked) if counts[class_id]]
    _draw_legend(drawing, shown, class_table.names, letters_for(drawing))
    return jpeg(drawing)


def blended(
    image: Picture, labels: LabelMap, count: int, colors: Mapping[int, Color] | None = None
) -> tuple[Picture, npt.NDArray[np.int64]]:
    """The photograph with every region in its label's color, and rims at borders; how many pixels each label has.

    Args:
        image: RGB uint8 (H, W, 3).
        labels: uint8 or uint16 (H, W).
        count: Labels 1..count have colors; others show the photograph.
        colors: The colors of these labels (default: ``color_of`` gives them).
    """
    width = max(1, round(np.sqrt(labels.size) / 250))
    keep, add = _weights(count, np.iinfo(labels.dtype).max + 1, colors or {})
    picture = np.empty_like(image)
    counts = np.zeros(len(keep) // 2, np.int64)
    rows = max(1, _STRIP // labels.shape[1])
    for top in range(0, len(labels), rows):
        strip = slice(top, top + rows)
        above = min(top, width)
        around = labels[top - above : top + rows + width]
        rim = _borders(around, width)[above : above + rows]
        index = labels[strip] + len(counts) * rim.astype(np.int32)
        picture[strip] = (image[strip] * keep[index][..., None] + add[index]) >> 8
        counts += np.bincount(labels[strip].ravel(), minlength=len(counts))
    return picture, counts


def letters_for(drawing: Image.Image) -> int:
    """The size, in pixels, of letters on a picture."""
    return round(math.sqrt(drawing.width * drawing.height) * 0.034)


def _weights(count: int, labels: int, colors: Mapping[int, Color]) -> tuple[Weights, Weights]:
    """What becomes of a pixel's value v, in 256ths: ``v * keep + add``, of each label, and then of each on a rim.

    Args:
        count: Labels 1..count have colors.
        labels: How many labels there can be.
        colors: Their colors, where they are not those of ``color_of``.

    Returns:
        keep (2 * labels,), and add (2 * labels, 3).
    """
    keep = np.full((2, labels), 256, np.uint16)
    add = np.zeros((2, labels, 3), np.uint16)
    for rim, share in enumerate((_SHARE, _RIM_SHARE)):
        for label in range(1, min(count + 1, labels)):
            color = np.array(colors.get(label) or color_of(label))
            over = color + (255 - color) * (0.55 * rim)
            keep[rim, label] = round(256 * (1 - share))
            add[rim, label] = over * (256 - keep[rim, label])
    return keep.ravel(), add.reshape(-1, 3)


def _borders(labels: LabelMap, width: int) -> BoolArray:
    """The pixels (H, W) that have another label at most ``width`` rows or columns away."""
    near = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        lines, found = np.moveaxis(labels, axis, 0), np.moveaxis(near, axis, 0)
        differ = lines[1:] != lines[:-1]
        found[1:] |= differ
        found[:-1] |= differ
    return grown(near, width - 1)


def _draw_legend(drawing: Image.Image, class_ids: list[int], names: tuple[str, ...], letters: int) -> None:
    """Write the classes on a dark plate at the bottom left; what has no room is counted at the end."""
    if letters < MIN_LETTERS or not class_ids:
        return
    line, pad, gap = round(letters * 1.5), round(letters * 0.6), round(letters * 0.5)
    margin = pad
    lines = int((drawing.height * _MAX_HEIGHT - 2 * pad - margin) // line)
    room = drawing.width * _MAX_WIDTH - 2 * pad - margin - letters - gap
    if lines < min(2, len(class_ids)) or room < 4 * letters:
        return
    shown = class_ids if len(class_ids) <= lines else class_ids[: lines - 1]
    texts = [fitted(names[each - 1], letters, room) for each in shown]
    if len(shown) < len(class_ids):
        texts.append(f"and {len(class_ids) - len(shown)} more")
    widest = max(font_for(text, letters).getlength(text) for text in texts)
    width, height = round(widest) + letters + gap + 2 * pad, len(texts) * line + pad
    top = drawing.height - margin - height
    darken(drawing, (margin, top, margin + width, top + height), round(letters * 0.4))
    draw = ImageDraw.Draw(drawing)
    for index, text in enumerate(texts):
        left, middle = margin + pad, top + pad / 2 + (index + 0.5) * line
        if index < len(shown):
            half = letters * 0.42
            square = (left, middle - half, left + 2 * half, middle + half)
            draw.rounded_rectangle(square, round(letters * 0.2), color_of(shown[index]))
            left += letters + gap
        draw.text((left, middle), text, PAPER, font_for(text, letters), anchor="lm")


def darken(drawing: Image.Image, box: tuple[int, int, int, int], radius: int) -> None:
    """Make a plate with round corners so dark that bright letters can be read on whatever is under it."""
    size = (box[2] - box[0], box[3] - box[1])
    stencil = Image.new("L", size)
    ImageDraw.Draw(stencil).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius, 210)
    drawing.paste(Image.new("RGB", size, INK), box[:2], stencil)
